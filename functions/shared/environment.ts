import * as z from 'zod/mini';
import { ENVIRONMENT, STATE_MACHINES } from '../../core/contract/deployment.ts';
import { EventTenantsSchema } from '../../core/contract/event-tenants.ts';
import { FairShareLimitsSchema } from '../../core/contract/fair-share.ts';
import { ConfigurationError } from './errors.ts';

const text = z.string().check(z.minLength(1));
const seconds = z.coerce.number().check(z.positive(), z.int());

const parseJson = (value: string, context: { issues: unknown[] }): unknown => {
  try {
    return JSON.parse(value);
  } catch {
    context.issues.push({ code: 'custom', input: undefined, message: 'not JSON' });
    return z.NEVER;
  }
};

const VARIABLES = {
  table: text,
  bus: text,
  stateMachines: z.pipe(z.pipe(text, z.transform(parseJson)), z.partialRecord(z.enum(STATE_MACHINES), text)),
  webSocketUrl: z.string().check(z.regex(/^wss?:\/\/[^\s]+$/)),
  signingSecret: text,
  sessionSecret: text,
  ruleMachine: text,
  ruleRole: text,
  ruleDeadLetters: text,
  eventTenants: z.pipe(z.pipe(text, z.transform(parseJson)), EventTenantsSchema),
  fairShare: z.pipe(z.pipe(text, z.transform(parseJson)), FairShareLimitsSchema),
  rulesPerTenant: z.coerce.number().check(z.positive(), z.int()),
  tenantClaim: z._default(text, 'tenant'),
  scopeClaim: z._default(text, 'scope'),
  heartbeatSeconds: seconds,
  leaseSeconds: seconds,
  sessionIdleSeconds: seconds,
  sessionTotalSeconds: seconds,
  version: z._default(text, '0.0.0'),
  logLevel: z._default(z.enum(['debug', 'info', 'warn', 'error']), 'info'),
} as const satisfies Record<keyof typeof ENVIRONMENT, z.ZodMiniType>;

export type Environment = { readonly [Key in keyof typeof VARIABLES]: z.output<(typeof VARIABLES)[Key]> };
type EnvironmentKey = keyof Environment;

/** The variables of every function. */
const COMMON = ['version', 'logLevel'] as const satisfies readonly EnvironmentKey[];

/**
 * The parsed environment variables of a function. Called once, when the function starts.
 *
 * @param wanted keys of `ENVIRONMENT` in addition to the common ones (`version`, `logLevel`)
 * @throws ConfigurationError naming the variables that are missing or malformed, never their values
 */
export const readEnvironment = <Key extends EnvironmentKey>(
  wanted: readonly Key[],
  variables: Readonly<Record<string, string | undefined>> = process.env,
): Pick<Environment, Key | (typeof COMMON)[number]> => {
  const parsed: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const key of new Set<EnvironmentKey>([...COMMON, ...wanted])) {
    const result = z.safeParse(VARIABLES[key], variables[ENVIRONMENT[key]]);
    if (result.success) parsed[key] = result.data;
    else wrong.push(ENVIRONMENT[key]);
  }
  if (wrong.length > 0)
    throw new ConfigurationError(`Environment variables missing or malformed: ${wrong.join(', ')}`);
  return parsed as Pick<Environment, Key | (typeof COMMON)[number]>;
};
