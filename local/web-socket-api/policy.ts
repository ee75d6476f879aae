/** Evaluates the response of a Lambda authorizer. */

export type AuthorizerDecision =
  | { readonly allowed: true; readonly context: Readonly<Record<string, string>> }
  | { readonly allowed: false; readonly status: 401 | 403 | 500; readonly message: string };

interface Statement {
  readonly Effect?: unknown;
  readonly Action?: unknown;
  readonly Resource?: unknown;
}

const INVOKE = 'execute-api:Invoke';
const FAILED: AuthorizerDecision = { allowed: false, status: 500, message: 'Internal server error' };

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

/** `*` matches any characters, `?` one. */
const matches = (pattern: unknown, text: string): boolean => {
  if (typeof pattern !== 'string') return false;
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
};

const covers = (statement: Statement, resource: string): boolean =>
  listOf(statement.Action).some((one) => matches(String(one).toLowerCase(), INVOKE.toLowerCase())) &&
  listOf(statement.Resource).some((one) => matches(one, resource));

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The context as strings for functions; undefined if a value is not a string, a number or a boolean. */
const contextOf = (given: unknown): Record<string, string> | undefined => {
  if (given === undefined || given === null) return {};
  if (!isObject(given)) return undefined;
  const entries = Object.entries(given).filter(([, value]) => value !== null);
  if (entries.some(([, value]) => typeof value === 'object')) return undefined;
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
};

/**
 * @param answer the authorizer's response: `{principalId, policyDocument, context?}`
 * @param resource the ARN of the requested route
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
 */
export const evaluateAuthorizer = (answer: unknown, resource: string): AuthorizerDecision => {
  if (!isObject(answer) || typeof answer.principalId !== 'string') return FAILED;
  const policy = answer.policyDocument;
  const context = contextOf(answer.context);
  if (!isObject(policy) || context === undefined) return FAILED;
  const statements = listOf(policy.Statement).filter(isObject) as readonly Statement[];
  const effects = statements.filter((one) => covers(one, resource)).map((one) => one.Effect);
  const denied = 'User is not authorized to access this resource';
  if (effects.includes('Deny'))
    return { allowed: false, status: 403, message: `${denied} with an explicit deny` };
  if (!effects.includes('Allow')) return { allowed: false, status: 403, message: denied };
  return { allowed: true, context: { principalId: answer.principalId, ...context } };
};
