/** An API, assembled from its resources in the template. */

export interface LambdaIntegration {
  readonly functionArn: string;
  readonly timeoutMs: number;
}

export interface JwtAuthorizerDefinition {
  readonly kind: 'jwt';
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Selection expressions such as `$request.header.Authorization`. */
  readonly identitySources: readonly string[];
}

export interface RequestAuthorizerDefinition {
  readonly kind: 'request';
  readonly functionArn: string;
  /** Such as `route.request.header.Authorization`. */
  readonly identitySources: readonly string[];
}

export type AuthorizerDefinition = JwtAuthorizerDefinition | RequestAuthorizerDefinition;

export interface RouteDefinition {
  /** `POST /v1/containers`, `$default`, `$connect`, or a WebSocket action. */
  readonly routeKey: string;
  readonly integration: LambdaIntegration;
  readonly authorizer?: AuthorizerDefinition;
  /** Scopes of which a JWT must have at least one; empty for none. */
  readonly scopes: readonly string[];
  /** WebSocket: whether the function's response is sent to the client. */
  readonly answers: boolean;
}

/** A token bucket: requests per second, and burst. */
export interface Throttle {
  readonly ratePerSecond: number;
  readonly burst: number;
}

export interface StageDefinition {
  readonly name: string;
  readonly variables: Readonly<Record<string, string>>;
  /** Shared limit of the routes without settings, and limits by route key. */
  readonly throttling: { readonly shared?: Throttle; readonly routes: Readonly<Record<string, Throttle>> };
  readonly accessLog?: { readonly destinationArn: string; readonly format: string };
}

export interface ApiDefinition {
  readonly apiId: string;
  readonly protocol: 'HTTP' | 'WEBSOCKET';
  /** WebSocket only: the property of the message that names the route, such as `action`. */
  readonly routeProperty: readonly string[];
  readonly routes: readonly RouteDefinition[];
  readonly stages: readonly StageDefinition[];
}

/** Limits of API Gateway. Times in milliseconds, sizes in bytes. */
export interface ApiGatewayLimits {
  readonly httpIntegrationMs: number;
  readonly httpBodyBytes: number;
  readonly webSocketIntegrationMs: number;
  readonly webSocketMessageBytes: number;
  readonly webSocketFrameBytes: number;
  readonly webSocketIdleMs: number;
  readonly webSocketDurationMs: number;
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html */
export const API_GATEWAY_LIMITS: ApiGatewayLimits = {
  httpIntegrationMs: 30_000,
  httpBodyBytes: 10 * 1024 * 1024,
  webSocketIntegrationMs: 29_000,
  webSocketMessageBytes: 128 * 1024,
  webSocketFrameBytes: 32 * 1024,
  webSocketIdleMs: 10 * 60_000,
  webSocketDurationMs: 2 * 60 * 60_000,
};
