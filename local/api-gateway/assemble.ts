/** Builds the definitions of the APIs from the resources of a template. */
import type { ResolvedResource } from '../engine.ts';
import { TemplateProblem } from '../errors.ts';
import type {
  ApiDefinition,
  ApiGatewayLimits,
  AuthorizerDefinition,
  LambdaIntegration,
  RouteDefinition,
  StageDefinition,
  Throttle,
} from './definition.ts';
import { ROUTE_SELECTION } from './properties.ts';

/** A resource with its physical id. */
export interface KnownResource extends ResolvedResource {
  readonly id: string;
}

type Properties = Readonly<Record<string, unknown>>;

const text = (properties: Properties, name: string): string => {
  const value = properties[name];
  if (typeof value === 'string') return value;
  throw new TemplateProblem([{ property: `Properties.${name}`, message: 'must be a string' }]);
};

const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);

const object = (value: unknown): Properties =>
  typeof value === 'object' && value !== null ? (value as Properties) : {};

/**
 * The function's ARN in `arn:…:lambda:path/2015-03-31/functions/<ARN>/invocations`, or the ARN itself.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export const functionArnOf = (uri: string): string => /\/functions\/(.+)\/invocations$/.exec(uri)?.[1] ?? uri;

const integrationOf = (resource: KnownResource, limitMs: number): LambdaIntegration => {
  const timeout = Number(resource.properties.TimeoutInMillis ?? limitMs);
  return {
    functionArn: functionArnOf(text(resource.properties, 'IntegrationUri')),
    timeoutMs: Math.min(timeout, limitMs),
  };
};

const authorizerOf = (resource: KnownResource): AuthorizerDefinition => {
  const identitySources = texts(resource.properties.IdentitySource);
  if (resource.properties.AuthorizerType === 'REQUEST')
    return {
      kind: 'request',
      functionArn: functionArnOf(text(resource.properties, 'AuthorizerUri')),
      identitySources,
    };
  const jwt = object(resource.properties.JwtConfiguration);
  return { kind: 'jwt', issuer: text(jwt, 'Issuer'), audience: texts(jwt.Audience), identitySources };
};

/** A stage without a limit has the account's limit, which one machine cannot reach. */
const throttleOf = (settings: Properties): Throttle | undefined => {
  const { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst } = settings;
  return rate === undefined && burst === undefined
    ? undefined
    : { ratePerSecond: Number(rate ?? 10_000), burst: Number(burst ?? 5_000) };
};

const throttlingOf = (properties: Properties): StageDefinition['throttling'] => ({
  shared: throttleOf(object(properties.DefaultRouteSettings)),
  routes: Object.fromEntries(
    Object.entries(object(properties.RouteSettings)).flatMap(([routeKey, settings]) => {
      const throttle = throttleOf(object(settings));
      return throttle === undefined ? [] : [[routeKey, throttle]];
    }),
  ),
});

const stageOf = ({ properties }: KnownResource): StageDefinition => {
  const log = object(properties.AccessLogSettings);
  const variables = Object.entries(object(properties.StageVariables));
  return {
    name: text(properties, 'StageName'),
    throttling: throttlingOf(properties),
    variables: Object.fromEntries(variables.map(([name, value]) => [name, String(value)])),
    ...(typeof log.Format === 'string'
      ? { accessLog: { destinationArn: String(log.DestinationArn ?? ''), format: log.Format } }
      : {}),
  };
};

/** Finds what the resources of one API refer to. */
class ApiResources {
  readonly #own: readonly KnownResource[];
  constructor(all: readonly KnownResource[], apiId: string) {
    this.#own = all.filter((resource) => resource.properties.ApiId === apiId);
  }

  of(type: string): readonly KnownResource[] {
    return this.#own.filter((resource) => resource.type === `AWS::ApiGatewayV2::${type}`);
  }

  referred(type: string, id: unknown, property: string): KnownResource {
    const found = this.of(type).find((resource) => resource.id === id);
    if (found !== undefined) return found;
    const message = `refers to ${String(id)}, which is not a ${type.toLowerCase()} of this API`;
    throw new TemplateProblem([{ property: `Properties.${property}`, message }]);
  }
}

const routeOf = (route: KnownResource, resources: ApiResources, limitMs: number): RouteDefinition => {
  const { properties } = route;
  const target = text(properties, 'Target').replace(/^integrations\//, '');
  const authorization = properties.AuthorizationType ?? 'NONE';
  const answered = resources.of('RouteResponse').some((one) => one.properties.RouteId === route.id);
  return {
    routeKey: text(properties, 'RouteKey'),
    integration: integrationOf(resources.referred('Integration', target, 'Target'), limitMs),
    ...(authorization === 'NONE'
      ? {}
      : {
          authorizer: authorizerOf(resources.referred('Authorizer', properties.AuthorizerId, 'AuthorizerId')),
        }),
    scopes: texts(properties.AuthorizationScopes),
    answers: properties.RouteResponseSelectionExpression === '$default' && answered,
  };
};

/**
 * @param api the resource of type `AWS::ApiGatewayV2::Api`
 * @param all every resource of API Gateway in the template
 * @throws TemplateProblem if a resource refers to a missing one
 */
export const assembleApi = (
  api: KnownResource,
  all: readonly KnownResource[],
  limits: ApiGatewayLimits,
): ApiDefinition => {
  const resources = new ApiResources(all, api.id);
  const protocol = api.properties.ProtocolType === 'WEBSOCKET' ? 'WEBSOCKET' : 'HTTP';
  const limitMs = protocol === 'HTTP' ? limits.httpIntegrationMs : limits.webSocketIntegrationMs;
  const selection = ROUTE_SELECTION.exec(String(api.properties.RouteSelectionExpression ?? ''));
  return {
    apiId: api.id,
    protocol,
    routeProperty: selection?.[1]?.split('.') ?? [],
    routes: resources.of('Route').map((route) => routeOf(route, resources, limitMs)),
    stages: resources.of('Stage').map(stageOf),
  };
};
