import { RemovalPolicy } from 'aws-cdk-lib';
import type { Node } from 'constructs';
import * as z from 'zod/mini';
import { EVENT_ORIGIN_PATTERN } from '../core/contract/event-tenants.ts';
import { FairShareLimitsSchema } from '../core/contract/fair-share.ts';
import type { BulkheadControlPlaneProps } from './constructs/control-plane.ts';
import { SynthesisError } from './errors.ts';
import { FUNCTION_NAMES, type FunctionName } from './function-specs.ts';
import { RESERVED_CONCURRENCY, type ReservedConcurrency } from './reserved-concurrency.ts';

const text = z.string().check(z.minLength(1));
const seconds = z.coerce.number().check(z.int(), z.positive());
/** Values from the command line are text; `cdk.json` and callers in process can pass any JSON value. */
const flag = z.pipe(
  z.union([z.boolean(), z.enum(['true', 'false'])]),
  z.transform((value) => String(value) === 'true'),
);
const json = z.pipe(
  z.union([z.string(), z.record(z.string(), z.unknown())]),
  z.transform((value, context): unknown => {
    if (typeof value !== 'string') return value;
    try {
      return JSON.parse(value);
    } catch {
      context.issues.push({ code: 'custom', input: value, message: 'not JSON' });
      return z.NEVER;
    }
  }),
);

const tenants = z.pipe(
  z.union([text, z.array(text)]),
  z.transform((value) => [value].flat()),
);
const originTenants = z.pipe(json, z.record(z.string().check(z.regex(EVENT_ORIGIN_PATTERN)), tenants));

const functionName = z.enum(FUNCTION_NAMES as [FunctionName, ...FunctionName[]]);
const reservations = z.pipe(json, z.partialRecord(functionName, z.int().check(z.positive())));

/** The keys of `cdk deploy --context key=value`. */
const CONTEXT = {
  /** URL of an OIDC issuer. @default a Cognito user pool is created */
  oidcIssuer: z.optional(text),
  /** Accepted audiences, separated by commas. Required with `oidcIssuer`. */
  oidcAudience: z.optional(text),
  /** Claims of a token that name the tenant and the scopes. */
  tenantClaim: z.optional(text),
  scopeClaim: z.optional(text),
  /** Tenant of user pool clients that `cognitoTenants` does not list. */
  cognitoDefaultTenant: z.optional(text),
  /** JSON object: client id → tenant. */
  cognitoTenants: z.optional(z.pipe(json, z.record(z.string(), z.string()))),
  /** Tenant of conversion requests that arrive as events without a tenant. */
  eventTenant: z.optional(text),
  /** JSON object: `source`, `source@account`, `*@account` or `*` → a tenant, or a list of tenants. */
  eventTenants: z.optional(originTenants),
  /** `true` for the defaults, or a JSON object: function → concurrency, which overrides single defaults. */
  reservedConcurrency: z.optional(z.union([flag, reservations])),
  /** JSON object: limits of one tenant on one instance of a function. */
  fairShare: z.optional(z.pipe(json, z.partial(FairShareLimitsSchema))),
  /** Maximum number of conversion rules of one tenant. */
  rulesPerTenant: z.optional(seconds),
  heartbeatSeconds: z.optional(seconds),
  leaseSeconds: z.optional(seconds),
  /** Seconds after which an idle session ends, and after which any session ends. */
  sessionIdleSeconds: z.optional(seconds),
  sessionTotalSeconds: z.optional(seconds),
  /** `false` deletes the data together with the stack. */
  deletionProtection: z.optional(flag),
  /** `false` if the account already has a role with which API Gateway writes logs. */
  manageApiGatewayLogRole: z.optional(flag),
  /** `true` creates a dashboard, for USD 3 a month. */
  dashboard: z.optional(flag),
  /** `true` logs each message of hosts. */
  hostAccessLog: z.optional(flag),
  runbookUrl: z.optional(text),
  logLevel: z.optional(z.enum(['debug', 'info', 'warn', 'error'])),
} as const;
const ContextSchema = z.object(CONTEXT);
type Context = z.output<typeof ContextSchema>;

const oidcOf = ({ oidcIssuer, oidcAudience }: Context) => {
  if (oidcIssuer === undefined && oidcAudience === undefined) return undefined;
  if (oidcIssuer === undefined || oidcAudience === undefined) {
    throw new SynthesisError('Set both oidcIssuer and oidcAudience in the context, or neither.');
  }
  return { issuer: oidcIssuer, audience: oidcAudience.split(',').map((one) => one.trim()) };
};

const reservedOf = ({ reservedConcurrency: given }: Context): ReservedConcurrency | undefined => {
  if (given === undefined || given === false) return undefined;
  return given === true ? RESERVED_CONCURRENCY : { ...RESERVED_CONCURRENCY, ...given };
};

/**
 * The properties of the control plane from the CDK context.
 *
 * @throws SynthesisError naming the invalid key
 */
export const readContext = (node: Node): Partial<BulkheadControlPlaneProps> => {
  const given = Object.fromEntries(
    Object.keys(CONTEXT).map((key) => [key, node.tryGetContext(key) ?? undefined]),
  );
  const parsed = parse(given);
  const protect = parsed.deletionProtection ?? true;
  return {
    oidc: oidcOf(parsed),
    cognitoTenants: { defaultTenant: parsed.cognitoDefaultTenant, byClient: parsed.cognitoTenants },
    tenantClaim: parsed.tenantClaim,
    scopeClaim: parsed.scopeClaim,
    eventTenant: parsed.eventTenant,
    eventTenants: parsed.eventTenants,
    fairShare: parsed.fairShare,
    reservedConcurrency: reservedOf(parsed),
    rulesPerTenant: parsed.rulesPerTenant,
    heartbeatSeconds: parsed.heartbeatSeconds,
    leaseSeconds: parsed.leaseSeconds,
    sessionIdleSeconds: parsed.sessionIdleSeconds,
    sessionTotalSeconds: parsed.sessionTotalSeconds,
    deletionProtection: protect,
    removalPolicy: protect ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    manageApiGatewayLogRole: parsed.manageApiGatewayLogRole,
    dashboard: parsed.dashboard,
    hostAccessLog: parsed.hostAccessLog,
    runbookUrl: parsed.runbookUrl,
    logLevel: parsed.logLevel,
  };
};

const parse = (given: Readonly<Record<string, unknown>>): Context => {
  try {
    return ContextSchema.parse(given);
  } catch (cause) {
    throw new SynthesisError(`The CDK context is invalid: ${String(cause)}`, { cause });
  }
};
