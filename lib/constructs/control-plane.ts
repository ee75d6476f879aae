import { RemovalPolicy } from 'aws-cdk-lib';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { EVENT_BUS_NAME, HEARTBEAT_SECONDS, LEASE_SECONDS, TIMES } from '../../core/contract/deployment.ts';
import type { EventTenants } from '../../core/contract/event-tenants.ts';
import type { FairShareLimits } from '../../core/contract/fair-share.ts';
import { HTTP_FUNCTIONS, type HttpFunction } from '../../core/contract/http/routes.ts';
import {
  type ClientTenants,
  TENANT_CLAIM_ENVIRONMENT,
  TENANT_CLAIM_FUNCTION,
} from '../../core/contract/tenant-claim.ts';
import { bundleFunctions, type FunctionAssets, prebundledFunctions } from '../bundling/bundle-functions.ts';
import { SynthesisError } from '../errors.ts';
import { FUNCTION_NAMES, TENANT_CLAIM_SPEC } from '../function-specs.ts';
import type { ReservedConcurrency } from '../reserved-concurrency.ts';
import { CognitoIssuer } from './cognito-issuer.ts';
import { ControlPlaneFunction } from './control-plane-function.ts';
import { ConversionByRule } from './conversion-by-rule.ts';
import { Data } from './data.ts';
import { Events } from './events.ts';
import { Functions } from './functions.ts';
import { HostLink, type Throttle } from './host-link.ts';
import { HttpApi } from './http-api.ts';
import { LogMetrics } from './log-metrics.ts';
import { Observability } from './observability.ts';
import { Orchestration } from './orchestration.ts';
import { Secrets } from './secrets.ts';

/** An OIDC provider whose access tokens are accepted. */
export interface OidcIssuer {
  /** URL of the issuer, as in the tokens' `iss`; its discovery document must be below this URL. */
  readonly issuer: string;
  /** Accepted values of `aud`, or of `client_id` in tokens without one. */
  readonly audience: readonly string[];
}

/** Tenants of the clients of the Cognito user pool, which is created if no issuer is given. */
export interface CognitoTenants {
  /** Tenant of clients that `byClient` does not list; null: such clients get no token. @default 'default' */
  readonly defaultTenant?: string | null;
  /** Client id → tenant. */
  readonly byClient?: Readonly<Record<string, string>>;
}

export interface BulkheadControlPlaneProps {
  /** The token issuer. @default a Cognito user pool with one machine client */
  readonly oidc?: OidcIssuer;
  /** Only without `oidc`. */
  readonly cognitoTenants?: CognitoTenants;
  /** Claim of a token that names the tenant. @default 'tenant' */
  readonly tenantClaim?: string;
  /** Claim of a token that holds the scopes, separated by spaces. @default 'scope' */
  readonly scopeClaim?: string;
  /**
   * Interval of an agent's heartbeats, in seconds, at most 150. A shorter one costs more, see `docs/cost.md`. A longer one
   * delays commands whose push was lost. @default 130
   */
  readonly heartbeatSeconds?: number;
  /** How long a heartbeat is valid, in seconds; more than two heartbeats. @default 300 */
  readonly leaseSeconds?: number;
  /** Time after which an idle session ends, in seconds. @default 1800 */
  readonly sessionIdleSeconds?: number;
  /** Maximum duration of a session, in seconds. @default 28800, eight hours */
  readonly sessionTotalSeconds?: number;
  /**
   * Tenant of conversion requests that arrive as events without a tenant.
   * @default the default tenant of the user pool's clients, else 'default'
   */
  readonly eventTenant?: string;
  /**
   * Which tenants' rules get events of sources other than Bulkhead: origin → tenants. An origin is a source, or a source in
   * one account: `aws.guardduty`, `aws.guardduty@111122223333`, `*@111122223333`, `*`. The first of these four that is
   * named decides.
   * @default every source is assigned to `eventTenant`
   */
  readonly eventTenants?: EventTenants['byOrigin'];
  /**
   * Limits of one tenant on one instance of a function behind the HTTPS API. Beyond them the API returns 429 or
   * shortens the wait.
   * @default 50 requests a second with bursts of 1,000; a quarter of the time for waiting, at most 25 seconds of it at
   * once. No limit on waiting if the user pool knows only one tenant.
   */
  readonly fairShare?: Partial<FairShareLimits>;
  /**
   * Maximum number of conversion rules of one tenant. EventBridge allows 300 rules per bus, which all tenants share.
   * @default 20
   */
  readonly rulesPerTenant?: number;
  /** Name of the event bus. @default 'bulkhead' */
  readonly eventBusName?: string;
  /** Requests to the HTTPS API beyond which API Gateway returns 429. @default 2000 per second, bursts of 4000 */
  readonly throttle?: Throttle;
  /**
   * Handshakes and messages of hosts beyond which API Gateway returns 429; agents repeat them. Session frames do not count.
   * @default 2000 per second, bursts of 4000
   */
  readonly hostThrottle?: Throttle;
  /** Session frames beyond which API Gateway returns 429; both sides repeat them. @default 1000 per second, bursts of 2000 */
  readonly sessionThrottle?: Throttle;
  /**
   * Reserved concurrency of functions, such as `RESERVED_CONCURRENCY`. Lambda requires 100 executions of the account to
   * stay unreserved, so an account with a low limit cannot reserve any.
   * @default none: a flood of requests can take the concurrency that hosts and workflows need
   */
  readonly reservedConcurrency?: ReservedConcurrency;
  /** Removal policy of the table, the logs and the user pool. @default RETAIN */
  readonly removalPolicy?: RemovalPolicy;
  /** Deletion protection of the table. @default true */
  readonly deletionProtection?: boolean;
  /** Retention of logs. @default one month */
  readonly logRetention?: RetentionDays;
  /** @default 'info' */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Base of the links from alarms to the runbook: `<runbookUrl>/<alarm>.md`. @default 'docs/runbook' */
  readonly runbookUrl?: string;
  /** Topic that alarms notify. @default none: alarms are visible in CloudWatch only */
  readonly alarmTopic?: ITopic;
  /** Whether to create a CloudWatch dashboard, for USD 3 a month. @default false */
  readonly dashboard?: boolean;
  /** Whether API Gateway logs each message of hosts, also heartbeats. @default false */
  readonly hostAccessLog?: boolean;
  /**
   * Whether to set the role of the account and Region with which API Gateway writes the logs of WebSocket APIs. Set it
   * to false if the account already has one. @default true
   */
  readonly manageApiGatewayLogRole?: boolean;
  /** Folder of the functions' sources: `<name>/index.ts`. Required without `prebundledFunctions`. */
  readonly functionsRoot?: string;
  /** Folder of bundled functions: `<name>/index.mjs`. */
  readonly prebundledFunctions?: string;
  /** The version that `GET /v1/version` returns. */
  readonly version: string;
}

interface Kept {
  readonly logRetention: RetentionDays;
  readonly removalPolicy: RemovalPolicy;
}

const DEFAULT_TENANT_CLAIM = 'tenant';

const eventTenantsOf = (props: BulkheadControlPlaneProps): EventTenants => ({
  defaultTenant: props.eventTenant ?? props.cognitoTenants?.defaultTenant ?? 'default',
  byOrigin: props.eventTenants ?? {},
});

/** A single tenant needs no fair share. */
const hasOneTenant = ({ oidc, cognitoTenants }: BulkheadControlPlaneProps): boolean =>
  oidc === undefined && Object.keys(cognitoTenants?.byClient ?? {}).length === 0;

const fairShareOf = (props: BulkheadControlPlaneProps): FairShareLimits => ({
  requestsPerSecond: 50,
  requestBurst: 1000,
  waitShare: hasOneTenant(props) ? 1 : 0.25,
  waitBurstSeconds: 25,
  ...props.fairShare,
});

/** @throws SynthesisError if a single lost heartbeat would make a host silent, or a command fail. */
const leaseOf = (props: BulkheadControlPlaneProps) => {
  const { heartbeatSeconds = HEARTBEAT_SECONDS, leaseSeconds = LEASE_SECONDS } = props;
  const longest = TIMES.commandHeartbeatSeconds / 2;
  if (heartbeatSeconds > longest)
    throw new SynthesisError(`Set heartbeatSeconds to at most ${longest}. It is ${heartbeatSeconds}.`);
  if (leaseSeconds <= 2 * heartbeatSeconds)
    throw new SynthesisError(
      `Set leaseSeconds to more than two heartbeats of ${heartbeatSeconds} seconds. It is ${leaseSeconds}.`,
    );
  return { heartbeatSeconds: String(heartbeatSeconds), leaseSeconds: String(leaseSeconds) };
};

const assetsOf = (props: BulkheadControlPlaneProps): FunctionAssets => {
  const names = props.oidc === undefined ? [...FUNCTION_NAMES, TENANT_CLAIM_FUNCTION] : FUNCTION_NAMES;
  if (props.prebundledFunctions !== undefined) return prebundledFunctions(props.prebundledFunctions, names);
  if (props.functionsRoot !== undefined) return bundleFunctions(props.functionsRoot, names);
  throw new SynthesisError('Set functionsRoot or prebundledFunctions to the folder of the functions.');
};

/**
 * The whole control plane of Bulkhead, for use in any app:
 *
 *     new BulkheadControlPlane(stack, 'Bulkhead', {
 *       oidc: { issuer: 'https://login.example.com', audience: ['bulkhead'] },
 *       functionsRoot: join(root, 'functions'),
 *       version: '1.0.0',
 *     });
 */
export class BulkheadControlPlane extends Construct {
  /** The log of all functions. */
  readonly functionLogs: LogGroup;
  readonly data: Data;
  readonly events: Events;
  readonly hostLink: HostLink;
  readonly secrets: Secrets;
  readonly functions: Functions;
  readonly orchestration: Orchestration;
  readonly conversionByRule: ConversionByRule;
  readonly api: HttpApi;
  readonly observability: Observability;
  /** The created issuer, if none was given. */
  readonly cognito?: CognitoIssuer;

  /** @throws SynthesisError if a function is missing or cannot be bundled. */
  constructor(scope: Construct, id: string, props: BulkheadControlPlaneProps) {
    super(scope, id);
    const kept = {
      logRetention: props.logRetention ?? RetentionDays.ONE_MONTH,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    };
    const assets = assetsOf(props);
    this.functionLogs = new LogGroup(this, 'FunctionLogs', {
      retention: kept.logRetention,
      removalPolicy: kept.removalPolicy,
    });
    this.data = new Data(this, 'Data', {
      removalPolicy: kept.removalPolicy,
      deletionProtection: props.deletionProtection ?? true,
    });
    this.events = new Events(this, 'Events', {
      busName: props.eventBusName ?? EVENT_BUS_NAME,
      table: this.data.table,
    });
    this.hostLink = new HostLink(this, 'HostLink', {
      ...kept,
      manageApiGatewayLogRole: props.manageApiGatewayLogRole ?? true,
      accessLog: props.hostAccessLog ?? false,
      hostThrottle: props.hostThrottle ?? { ratePerSecond: 2000, burst: 4000 },
      sessionThrottle: props.sessionThrottle ?? { ratePerSecond: 1000, burst: 2000 },
    });
    this.secrets = new Secrets(this, 'Secrets', { removalPolicy: kept.removalPolicy });
    this.functions = this.#makeFunctions(props, assets);
    this.orchestration = new Orchestration(this, 'Orchestration', {
      place: this.functions.lambda('place-container'),
      dispatch: this.functions.lambda('dispatch-command'),
      settle: this.functions.lambda('settle-operation'),
      ...kept,
    });
    this.functions.complete(this.orchestration.arns);
    this.conversionByRule = new ConversionByRule(this, 'ConversionByRule', {
      run: this.functions.lambda('run-conversion-rule'),
      bus: this.events.bus,
      deadLetters: this.events.deadLetters,
      logs: this.orchestration.logs,
    });
    this.functions.manageRules(this.orchestration.arns, this.conversionByRule.arns);
    if (props.oidc === undefined) this.cognito = this.#makeCognito(props, assets, kept.removalPolicy);
    this.api = this.#makeApi(props, kept);
    this.#connect();
    new LogMetrics(this, 'LogMetrics', {
      functions: this.functionLogs,
      machines: this.orchestration.logs,
      api: this.api.accessLogs,
    });
    this.observability = new Observability(this, 'Observability', {
      controlPlane: this,
      alarmTopic: props.alarmTopic,
      dashboard: props.dashboard ?? false,
      runbookUrl: props.runbookUrl ?? 'docs/runbook',
    });
    assets.dispose();
  }

  #makeFunctions(props: BulkheadControlPlaneProps, assets: FunctionAssets): Functions {
    return new Functions(this, 'Functions', {
      assets,
      data: this.data,
      events: this.events,
      hostLink: this.hostLink,
      secrets: this.secrets,
      reservedConcurrency: props.reservedConcurrency ?? {},
      environment: {
        table: this.data.table.tableName,
        bus: this.events.bus.eventBusName,
        webSocketUrl: this.hostLink.url,
        tenantClaim: props.tenantClaim ?? DEFAULT_TENANT_CLAIM,
        scopeClaim: props.scopeClaim ?? 'scope',
        ...leaseOf(props),
        sessionIdleSeconds: String(props.sessionIdleSeconds ?? 1800),
        sessionTotalSeconds: String(props.sessionTotalSeconds ?? 28_800),
        version: props.version,
        logLevel: props.logLevel ?? 'info',
        rulesPerTenant: String(props.rulesPerTenant ?? 20),
        fairShare: JSON.stringify(fairShareOf(props)),
        eventTenants: JSON.stringify(eventTenantsOf(props)),
      },
      logs: this.functionLogs,
    });
  }

  #makeCognito(
    props: BulkheadControlPlaneProps,
    assets: FunctionAssets,
    removalPolicy: RemovalPolicy,
  ): CognitoIssuer {
    const { defaultTenant = 'default', byClient = {} } = props.cognitoTenants ?? {};
    const tenants: ClientTenants = { defaultTenant, byClient: { ...byClient } };
    const trigger = new ControlPlaneFunction(this, {
      functionName: TENANT_CLAIM_FUNCTION,
      spec: TENANT_CLAIM_SPEC,
      assetDirectory: assets.directoryOf(TENANT_CLAIM_FUNCTION),
      environment: {
        [TENANT_CLAIM_ENVIRONMENT.tenantClaim]: props.tenantClaim ?? DEFAULT_TENANT_CLAIM,
        [TENANT_CLAIM_ENVIRONMENT.tenants]: JSON.stringify(tenants),
      },
      table: this.data.table,
      bus: this.events.bus,
      hostLink: this.hostLink,
      secrets: this.secrets,
      logs: this.functionLogs,
    });
    return new CognitoIssuer(this, 'Cognito', {
      addTenantClaim: trigger.lambda,
      removalPolicy,
    });
  }

  #makeApi(props: BulkheadControlPlaneProps, kept: Kept): HttpApi {
    const oidc = props.oidc ?? {
      issuer: this.cognito?.issuer ?? '',
      audience: this.cognito === undefined ? [] : [this.cognito.clientId],
    };
    const handlers = HTTP_FUNCTIONS.map((name) => [name, this.functions.lambda(name)]);
    return new HttpApi(this, 'Api', {
      ...oidc,
      functions: Object.fromEntries(handlers) as Record<HttpFunction, IFunction>,
      throttle: props.throttle ?? { ratePerSecond: 2000, burst: 4000 },
      ...kept,
    });
  }

  #connect(): void {
    this.hostLink.serve({
      authorize: this.functions.lambda('authorize-host'),
      connection: this.functions.lambda('host-connection'),
      message: this.functions.lambda('host-message'),
      sessionFrame: this.functions.lambda('session-frame'),
    });
    this.events.connect(
      {
        processChanges: this.functions.lambda('process-changes'),
        admitWaiting: this.functions.lambda('admit-waiting'),
        settle: this.functions.lambda('settle-operation'),
        sweep: this.functions.lambda('sweep'),
      },
      Object.values(this.orchestration.arns),
    );
  }
}
