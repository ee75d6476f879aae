import type { Problem } from '../../../core/contract/problem.ts';
import { toProblem } from '../../../core/domain/problems.ts';
import type { Answer, HttpResponse } from './exchange.ts';

/** Responses are specific to the caller and the moment: intermediaries must not cache them. */
const COMMON = { 'cache-control': 'no-store' };

export const toResponse = ({ status, body, headers = {} }: Answer): HttpResponse => ({
  statusCode: status,
  headers: {
    ...COMMON,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...headers,
  },
  body: body === undefined ? '' : JSON.stringify(body),
});

/** Headers that a status requires. */
const headersOf = ({ status, code, context }: Problem): Record<string, string> => {
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  if (code === 'too-many-requests') return { 'retry-after': String(context?.retryAfterSeconds ?? 1) };
  return status === 503 ? { 'retry-after': '1' } : {};
};

export const problemResponse = (error: unknown, requestId: string): HttpResponse => {
  const problem = toProblem(error, requestId);
  return {
    statusCode: problem.status,
    headers: { ...COMMON, 'content-type': 'application/problem+json', ...headersOf(problem) },
    body: JSON.stringify(problem),
  };
};
