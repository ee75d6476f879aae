import * as z from 'zod/mini';
import type { Route } from '../../../core/contract/http/routes.ts';
import { NotFoundError, ValidationError } from '../../../core/domain/errors.ts';
import type { HttpEvent, ValidatedInput } from './exchange.ts';
import { type Issue, toIssues } from './issues.ts';
import { parseBody, readBody } from './parse-body.ts';
import { parseQuery } from './parse-query.ts';
import { parseIdempotencyKey, parseIfMatch } from './preconditions.ts';

const NOTHING = z.strictObject({});

const check = (
  part: 'query' | 'body',
  schema: z.ZodMiniType,
  value: unknown,
): { readonly value: unknown; readonly issues: readonly Issue[] } => {
  const result = z.safeParse(schema, value, { reportInput: true });
  return result.success
    ? { value: result.data, issues: [] }
    : { value: undefined, issues: toIssues(part, result.error.issues) };
};

/** An invalid name or id is treated as one that does not exist. */
const parseParameters = (route: Route, event: HttpEvent): unknown => {
  if (route.parameters === undefined) return {};
  const result = z.safeParse(route.parameters, event.pathParameters ?? {});
  if (!result.success) throw notFound();
  return result.data;
};

/** The same error for a missing resource, one of another tenant, and an invalid id. */
export const notFound = (): NotFoundError => new NotFoundError('The resource does not exist.');

/**
 * Validates every part of a request against the schemas of its route.
 * @throws ValidationError with a pointer for each issue, and the errors of the parsers
 */
export const validate = (route: Route, event: HttpEvent): ValidatedInput => {
  const headers = event.headers ?? {};
  const params = parseParameters(route, event);
  const bodyText = readBody(event);
  const query = check('query', route.query ?? NOTHING, parseQuery(event.rawQueryString ?? ''));
  const given = parseBody(bodyText, headers['content-type']);
  const expectsBody = route.body !== undefined;
  const body = check(
    'body',
    route.body ?? z.undefined(),
    given === undefined && (route.bodyOptional || route.body === undefined)
      ? expectsBody
        ? {}
        : undefined
      : given,
  );
  const errors = [...query.issues, ...body.issues];
  if (errors.length > 0) throw new ValidationError('The request is not valid.', { errors });
  return {
    params,
    query: query.value as ValidatedInput['query'],
    body: body.value,
    bodyText,
    ifMatch: route.mutation === undefined ? null : parseIfMatch(headers['if-match'], route.mutation.ifMatch),
    idempotencyKey: route.mutation === undefined ? null : parseIdempotencyKey(headers['idempotency-key']),
  };
};
