/** Which resource types of API Gateway v2 the embedded cloud runs, with the allow-list of their properties. */
import type { PropertyRule, PropertyRules } from '../engine.ts';
import {
  accepted,
  honoured,
  list,
  map,
  metadataOnly,
  notEnforced,
  numberBetween,
  object,
  oneOf,
} from '../template/properties.ts';

/** Supported if it matches `pattern`. */
const matching = (pattern: RegExp, what: string): PropertyRule => ({
  kind: 'honoured',
  check: (value) =>
    typeof value === 'string' && pattern.test(value)
      ? undefined
      : `${JSON.stringify(value)} is not implemented (implemented: ${what})`,
});

export const ROUTE_SELECTION = /^\$\{?request\.body\.([A-Za-z_][\w.]*)\}?$/;

const api: PropertyRules = {
  Name: metadataOnly,
  Description: metadataOnly,
  Tags: map(metadataOnly),
  ProtocolType: oneOf('HTTP', 'WEBSOCKET'),
  RouteSelectionExpression: matching(
    /^\$\{?request\.(body\.[A-Za-z_][\w.]*|method\}? \$\{?request\.path)\}?$/,
    '$request.body.<property>',
  ),
  DisableExecuteApiEndpoint: oneOf(false),
  IpAddressType: accepted('the loopback address is served'),
};

const routeSettings = object({
  ThrottlingBurstLimit: numberBetween(0, 1_000_000),
  ThrottlingRateLimit: numberBetween(0, 1_000_000),
  DetailedMetricsEnabled: accepted('nothing is monitored on one machine'),
  DataTraceEnabled: accepted('the content of the local log is fixed'),
  LoggingLevel: accepted('the content of the local log is fixed'),
});

const stage: PropertyRules = {
  ApiId: honoured,
  StageName: honoured,
  AutoDeploy: oneOf(true),
  Description: metadataOnly,
  StageVariables: map(honoured),
  AccessLogSettings: object({ DestinationArn: honoured, Format: honoured }),
  DefaultRouteSettings: routeSettings,
  RouteSettings: map(routeSettings),
  Tags: map(metadataOnly),
};

const route: PropertyRules = {
  ApiId: honoured,
  RouteKey: honoured,
  Target: matching(/^integrations\/.+$/, 'integrations/<id>'),
  OperationName: metadataOnly,
  AuthorizationType: oneOf('NONE', 'JWT', 'CUSTOM'),
  AuthorizerId: honoured,
  AuthorizationScopes: list(honoured),
  ApiKeyRequired: oneOf(false),
  RouteResponseSelectionExpression: oneOf('$default'),
};

const integration: PropertyRules = {
  ApiId: honoured,
  Description: metadataOnly,
  IntegrationType: oneOf('AWS_PROXY'),
  IntegrationUri: matching(/:function:/, 'the ARN of a function, or its invocation URI'),
  IntegrationMethod: oneOf('POST'),
  PayloadFormatVersion: oneOf('1.0', '2.0'),
  ConnectionType: oneOf('INTERNET'),
  ContentHandlingStrategy: oneOf('CONVERT_TO_TEXT'),
  TimeoutInMillis: honoured,
  CredentialsArn: notEnforced,
};

const authorizer: PropertyRules = {
  ApiId: honoured,
  Name: metadataOnly,
  AuthorizerType: oneOf('JWT', 'REQUEST'),
  IdentitySource: list(
    matching(
      /^(\$request\.(header|querystring)|route\.request\.(header|querystring))\.[\w-]+$/,
      '$request.header.X, $request.querystring.X, route.request.header.X, route.request.querystring.X',
    ),
  ),
  JwtConfiguration: object({ Audience: list(honoured), Issuer: honoured }),
  AuthorizerUri: matching(/:function:/, 'the invocation URI of a function'),
  AuthorizerCredentialsArn: notEnforced,
};

export const API_GATEWAY_TYPES: Readonly<Record<string, PropertyRules>> = {
  'AWS::ApiGatewayV2::Api': api,
  'AWS::ApiGatewayV2::Stage': stage,
  'AWS::ApiGatewayV2::Route': route,
  'AWS::ApiGatewayV2::RouteResponse': {
    ApiId: honoured,
    RouteId: honoured,
    RouteResponseKey: oneOf('$default'),
  },
  'AWS::ApiGatewayV2::Integration': integration,
  'AWS::ApiGatewayV2::Authorizer': authorizer,
};
