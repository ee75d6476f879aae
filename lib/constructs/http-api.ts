import { ArnFormat, Fn, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnApi, CfnAuthorizer, CfnIntegration, CfnRoute, CfnStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { CfnPermission, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HTTP_FUNCTIONS, type HttpFunction, ROUTES, type Route } from '../../core/contract/http/routes.ts';
import { acknowledge } from './acknowledge.ts';

/** The caller, the route and the result; no header, no token, no query string (which may contain a cursor). */
const ACCESS_LOG_FIELDS = JSON.stringify({
  requestId: '$context.requestId',
  requestTime: '$context.requestTime',
  sourceIp: '$context.identity.sourceIp',
  routeKey: '$context.routeKey',
  status: '$context.status',
  responseLength: '$context.responseLength',
  responseLatency: '$context.responseLatency',
  integrationLatency: '$context.integrationLatency',
  integrationError: '$context.integrationErrorMessage',
  authorizerError: '$context.authorizer.error',
  error: '$context.error.message',
});
/** The latency is a number, so that a metric filter can compare it. */
const ACCESS_LOG_FORMAT = ACCESS_LOG_FIELDS.replace('"$context.responseLatency"', '$context.responseLatency');

/** Just below the limit of API Gateway, so that a slow function can still send its own response. */
const INTEGRATION_TIMEOUT_MS = 29_500;

/**
 * Share of the stage's requests for a route that can occupy its function or needs no token. A flood of such requests
 * then leaves capacity for the other routes.
 */
const APART = 0.25;

export interface HttpApiProps {
  /** URL of the OIDC issuer, and the accepted audiences (or Cognito client ids). */
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly functions: Readonly<Record<HttpFunction, IFunction>>;
  readonly throttle: { readonly ratePerSecond: number; readonly burst: number };
  readonly logRetention: RetentionDays;
  readonly removalPolicy: RemovalPolicy;
}

const pascal = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * The HTTPS API: all `ROUTES`, with one integration and one permission per function.
 *
 * Routes have no authorization scopes: the functions check scopes and return a problem in JSON, which API Gateway
 * cannot.
 */
export class HttpApi extends Construct {
  readonly api: CfnApi;
  readonly accessLogs: LogGroup;
  /** `https://…`, without a trailing slash. */
  readonly url: string;

  constructor(scope: Construct, id: string, props: HttpApiProps) {
    super(scope, id);
    this.api = new CfnApi(this, 'Api', {
      name: this.node.path.replaceAll('/', '-'),
      description: 'Bulkhead, version 1',
      protocolType: 'HTTP',
    });
    this.url = this.api.attrApiEndpoint;
    this.accessLogs = new LogGroup(this, 'AccessLogs', {
      retention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    const authorizer = new CfnAuthorizer(this, 'Authorizer', {
      apiId: this.api.ref,
      name: 'oidc',
      authorizerType: 'JWT',
      identitySource: ['$request.header.Authorization'],
      jwtConfiguration: { issuer: props.issuer, audience: [...props.audience] },
    });
    const targets = Object.fromEntries(
      HTTP_FUNCTIONS.map((name) => [name, this.#integrate(name, props.functions[name])]),
    ) as Record<HttpFunction, string>;
    const routes = ROUTES.map(
      (route) => [route, this.#route(route, targets[route.function], authorizer)] as const,
    );
    this.#stage(
      props,
      routes.filter(([route]) => route.overShare !== undefined || route.scope === null),
    );
  }

  #integrate(name: HttpFunction, handler: IFunction): string {
    const integration = new CfnIntegration(this, `${name}-integration`, {
      apiId: this.api.ref,
      integrationType: 'AWS_PROXY',
      integrationUri: handler.functionArn,
      payloadFormatVersion: '2.0',
      timeoutInMillis: INTEGRATION_TIMEOUT_MS,
    });
    new CfnPermission(this, `${name}-permission`, {
      action: 'lambda:InvokeFunction',
      functionName: handler.functionArn,
      principal: 'apigateway.amazonaws.com',
      sourceArn: Stack.of(this).formatArn({
        service: 'execute-api',
        resource: this.api.ref,
        resourceName: '*/*/*',
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      }),
    });
    return Fn.join('/', ['integrations', integration.ref]);
  }

  #route(route: Route, target: string, authorizer: CfnAuthorizer): CfnRoute {
    const open = route.scope === null;
    const resource = new CfnRoute(this, pascal(route.operationId), {
      apiId: this.api.ref,
      routeKey: `${route.method} ${route.path}`,
      operationName: route.operationId,
      target,
      ...(open ? { authorizationType: 'NONE' } : { authorizationType: 'JWT', authorizerId: authorizer.ref }),
    });
    if (!open) return resource;
    acknowledge(
      resource,
      `${route.operationId} needs no token: its response is public, or the body authenticates the caller.`,
      'AwsSolutions-APIG4',
    );
    return resource;
  }

  #stage(props: HttpApiProps, apart: readonly (readonly [Route, CfnRoute])[]): void {
    const { ratePerSecond, burst } = props.throttle;
    const stage = new CfnStage(this, 'Stage', {
      apiId: this.api.ref,
      stageName: '$default',
      autoDeploy: true,
      accessLogSettings: { destinationArn: this.accessLogs.logGroupArn, format: ACCESS_LOG_FORMAT },
      defaultRouteSettings: {
        // Metrics of each route are charged as custom metrics.
        detailedMetricsEnabled: false,
        throttlingRateLimit: ratePerSecond,
        throttlingBurstLimit: burst,
      },
      routeSettings: Object.fromEntries(
        apart.map(([{ method, path }]) => [
          `${method} ${path}`,
          {
            DetailedMetricsEnabled: false,
            ThrottlingRateLimit: Math.ceil(ratePerSecond * APART),
            ThrottlingBurstLimit: Math.ceil(burst * APART),
          },
        ]),
      ),
    });
    // API Gateway rejects settings of a route that does not exist yet.
    for (const [, route] of apart) stage.addResourceDependency(route);
  }
}
