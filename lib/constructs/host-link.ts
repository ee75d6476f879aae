import { ArnFormat, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { CfnApi, CfnAuthorizer, CfnIntegration, CfnRoute, CfnStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnPermission, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { ConnectionMethod } from '../function-specs.ts';
import { acknowledge } from './acknowledge.ts';

const STAGE_NAME = 'v1';

/** No headers: `$connect` carries the host's signed token in one. */
const ACCESS_LOG_FORMAT = JSON.stringify({
  requestId: '$context.requestId',
  eventType: '$context.eventType',
  routeKey: '$context.routeKey',
  connectionId: '$context.connectionId',
  status: '$context.status',
  error: '$context.error.message',
  integrationError: '$context.integrationErrorMessage',
  integrationLatency: '$context.integrationLatency',
  requestTime: '$context.requestTime',
});

export interface HostLinkProps {
  readonly logRetention: RetentionDays;
  readonly removalPolicy: RemovalPolicy;
  /** Whether to set the role of the account and Region with which API Gateway writes logs. */
  readonly manageApiGatewayLogRole: boolean;
  /** Whether to log each message. */
  readonly accessLog: boolean;
  /** Limit of handshakes, and of all messages of hosts that are not session frames. */
  readonly hostThrottle: Throttle;
  /** Limit of session frames. */
  readonly sessionThrottle: Throttle;
}

export interface HostLinkFunctions {
  /** Authorizer of `$connect`. */
  readonly authorize: IFunction;
  /** `$connect` and `$disconnect`. */
  readonly connection: IFunction;
  /** All messages except session frames. */
  readonly message: IFunction;
  /** Session frames: messages with the action `session`. */
  readonly sessionFrame: IFunction;
}

/** The action of session frames. */
const SESSION_ROUTE = 'session';
/** A token bucket of API Gateway: messages per second, and burst. */
export interface Throttle {
  readonly ratePerSecond: number;
  readonly burst: number;
}

/**
 * The WebSocket API that agents and session clients connect to. Created in two steps, because functions that push to
 * hosts need its URL before the functions that serve it exist: the constructor creates the API and its stage,
 * {@link serve} the routes.
 */
export class HostLink extends Construct {
  readonly api: CfnApi;
  readonly stage: CfnStage;
  /** `wss://…/v1`. */
  readonly url: string;

  constructor(scope: Construct, id: string, props: HostLinkProps) {
    super(scope, id);
    this.api = new CfnApi(this, 'Api', {
      name: `${this.node.path.replaceAll('/', '-')}`,
      description: 'Agents of hosts, clients of sessions',
      protocolType: 'WEBSOCKET',
      // Session frames have a separate route and function. Everything else goes to $default.
      routeSelectionExpression: '$request.body.action',
    });
    this.stage = new CfnStage(this, 'Stage', {
      apiId: this.api.ref,
      stageName: STAGE_NAME,
      autoDeploy: true,
      ...(props.accessLog && { accessLogSettings: this.#accessLog(props) }),
      defaultRouteSettings: {
        dataTraceEnabled: false,
        // Metrics of each route are charged as custom metrics.
        detailedMetricsEnabled: false,
        loggingLevel: 'ERROR',
        // The agents' jitter spreads reconnections; this limit is the second line of defense.
        throttlingBurstLimit: props.hostThrottle.burst,
        throttlingRateLimit: props.hostThrottle.ratePerSecond,
      },
      // A separate limit, so that a flood of session frames does not delay messages of hosts.
      routeSettings: {
        [SESSION_ROUTE]: {
          DataTraceEnabled: false,
          DetailedMetricsEnabled: false,
          LoggingLevel: 'ERROR',
          ThrottlingBurstLimit: props.sessionThrottle.burst,
          ThrottlingRateLimit: props.sessionThrottle.ratePerSecond,
        },
      },
    });
    if (!props.accessLog)
      acknowledge(
        this.stage,
        'An access log of heartbeats costs more than the rest of the log. The functions log connections and refusals.',
        'AwsSolutions-APIG1',
      );
    if (props.manageApiGatewayLogRole) this.#makeLogRole();
    this.url = Fn.join('', [this.api.attrApiEndpoint, '/', STAGE_NAME]);
  }

  #accessLog({ logRetention: retention, removalPolicy }: HostLinkProps): CfnStage.AccessLogSettingsProperty {
    const logs = new LogGroup(this, 'AccessLogs', { retention, removalPolicy });
    return { destinationArn: logs.logGroupArn, format: ACCESS_LOG_FORMAT };
  }

  /** The resource for `execute-api:ManageConnections` on any connection of the stage. */
  connectionsArn(method: ConnectionMethod): string {
    return this.#executeApiArn(`${STAGE_NAME}/${method}/@connections/*`);
  }

  /** The finding of cdk-nag on such a grant. It contains the logical id of the API. */
  connectionsFinding(method: ConnectionMethod): string {
    const api = `arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<${Stack.of(this).getLogicalId(this.api)}>`;
    return `AwsSolutions-IAM5[Resource::${api}/${STAGE_NAME}/${method}/@connections/*]`;
  }

  /** Creates the routes. Call once. */
  serve(functions: HostLinkFunctions): void {
    // No identity source: a browser and an agent send the token in different headers, and API Gateway requires all sources.
    const authorizer = new CfnAuthorizer(this, 'Authorizer', {
      apiId: this.api.ref,
      name: 'host',
      authorizerType: 'REQUEST',
      authorizerUri: this.#invocationUri(functions.authorize),
    });
    this.#permit('AuthorizerPermission', functions.authorize, `authorizers/${authorizer.ref}`);
    const connection = this.#integrate('Connection', functions.connection);
    this.#permit('ConnectPermission', functions.connection, `${STAGE_NAME}/$connect`);
    this.#permit('DisconnectPermission', functions.connection, `${STAGE_NAME}/$disconnect`);
    const message = this.#integrate('Message', functions.message);
    this.#permit('MessagePermission', functions.message, `${STAGE_NAME}/$default`);
    const sessionFrame = this.#integrate('SessionFrame', functions.sessionFrame);
    this.#permit('SessionFramePermission', functions.sessionFrame, `${STAGE_NAME}/${SESSION_ROUTE}`);
    const reason = 'A WebSocket API authorizes only at $connect; other routes have no such setting.';
    this.#route('Connect', '$connect', connection, authorizer);
    acknowledge(this.#route('Disconnect', '$disconnect', connection), reason, 'AwsSolutions-APIG4');
    const session = this.#route('Session', SESSION_ROUTE, sessionFrame);
    acknowledge(session, reason, 'AwsSolutions-APIG4');
    // API Gateway rejects settings of a route that does not exist yet.
    this.stage.addResourceDependency(session);
    acknowledge(this.#route('Default', '$default', message), reason, 'AwsSolutions-APIG4');
  }

  #route(id: string, routeKey: string, integration: CfnIntegration, authorizer?: CfnAuthorizer): CfnRoute {
    return new CfnRoute(this, id, {
      apiId: this.api.ref,
      routeKey,
      target: Fn.join('/', ['integrations', integration.ref]),
      ...(authorizer === undefined
        ? { authorizationType: 'NONE' }
        : { authorizationType: 'CUSTOM', authorizerId: authorizer.ref }),
    });
  }

  #integrate(id: string, handler: IFunction): CfnIntegration {
    return new CfnIntegration(this, `${id}Integration`, {
      apiId: this.api.ref,
      integrationType: 'AWS_PROXY',
      integrationUri: this.#invocationUri(handler),
    });
  }

  #permit(id: string, handler: IFunction, source: string): void {
    new CfnPermission(this, id, {
      action: 'lambda:InvokeFunction',
      functionName: handler.functionArn,
      principal: 'apigateway.amazonaws.com',
      sourceArn: this.#executeApiArn(source),
    });
  }

  #executeApiArn(path: string): string {
    return Stack.of(this).formatArn({
      service: 'execute-api',
      resource: this.api.ref,
      resourceName: path,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
  }

  #invocationUri(handler: IFunction): string {
    const { partition, region } = Stack.of(this);
    return `arn:${partition}:apigateway:${region}:lambda:path/2015-03-31/functions/${handler.functionArn}/invocations`;
  }

  /**
   * A WebSocket stage with logs can be created only if the account has such a role. The setting belongs to the account
   * and Region and is shared with all other APIs there, so it is kept when the stack is deleted.
   */
  #makeLogRole(): void {
    const role = new Role(this, 'ApiGatewayLogRole', {
      assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
      managedPolicies: [
        ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonAPIGatewayPushToCloudWatchLogs'),
      ],
    });
    role.applyRemovalPolicy(RemovalPolicy.RETAIN);
    acknowledge(
      role,
      'The role serves every API of the account and Region, so it uses the policy that AWS provides for that.',
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]',
    );
    const account = new CfnAccount(this, 'ApiGatewayAccount', { cloudWatchRoleArn: role.roleArn });
    account.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.stage.addResourceDependency(account);
  }
}
