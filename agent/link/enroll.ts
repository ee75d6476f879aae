import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { type EnrollHostRequest, EnrollHostResponseSchema } from '../../core/contract/host.ts';
import { type Clock, sleep } from '../clock.ts';
import { EXIT_CODES, messageOf, StartupError } from '../errors.ts';
import type { Log } from '../log.ts';
import { fullJitter, RECONNECT } from './backoff.ts';
import type { Enrollment } from './identity.ts';
import { isProtectedUrl } from './protected-url.ts';

interface EnrollDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

const REQUEST_TIMEOUT_MS = 15_000;
/** Statuses after which a retry can succeed. */
const isTemporary = (status: number): boolean => status === 408 || status === 429 || status >= 500;

const ProblemTextSchema = z.object({ code: z.optional(z.string()), detail: z.optional(z.string()) });

/**
 * Enrolls the host, with retries until there is a final answer. Retries are safe, because the key pair and the
 * Idempotency-Key are the same. Throws `StartupError` when the enrollment is refused.
 */
export const enroll = async (
  apiUrl: string,
  request: EnrollHostRequest,
  deps: EnrollDeps,
): Promise<Enrollment> => {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await tryOnce(apiUrl, request, deps);
    if ('enrollment' in answer) return answer.enrollment;
    const waitMs = fullJitter(attempt, RECONNECT, deps.random);
    deps.log.warn('could not enroll yet', { cause: answer.cause, nextTryInMs: Math.round(waitMs) });
    await sleep(deps.clock, waitMs, deps.signal);
  }
};

const tryOnce = async (
  apiUrl: string,
  request: EnrollHostRequest,
  { fetch, signal }: EnrollDeps,
): Promise<{ enrollment: Enrollment } | { cause: string }> => {
  const key = createHash('sha256').update(`${request.token}:${request.publicKey}`).digest('hex');
  let response: Response;
  try {
    response = await fetch(new URL('v1/hosts/enrollments', withSlash(apiUrl)), {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(request),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    });
  } catch (error) {
    signal.throwIfAborted();
    return { cause: `${new URL(apiUrl).host} does not answer: ${causeOf(error)}` };
  }
  if (isTemporary(response.status)) return { cause: `the API answered ${response.status}` };
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw refused(response.status, body);
  const parsed = z.safeParse(EnrollHostResponseSchema, body);
  if (!parsed.success)
    throw new StartupError(
      EXIT_CODES.enrollmentRefused,
      `${apiUrl} returned an invalid enrollment: check --api-url.`,
    );
  if (!isProtectedUrl(parsed.data.webSocketUrl, { tls: 'wss:', plain: 'ws:' }))
    throw new StartupError(
      EXIT_CODES.enrollmentRefused,
      `${apiUrl} returned an unencrypted URL for the connection of this host: check --api-url.`,
    );
  return { enrollment: { ...parsed.data, apiUrl } };
};

const refused = (status: number, body: unknown): StartupError => {
  const parsed = z.safeParse(ProblemTextSchema, body);
  const detail = (parsed.success && parsed.data.detail) || `status ${status}`;
  return new StartupError(
    EXIT_CODES.enrollmentRefused,
    `The API refused the enrollment (${detail}): get a new token with bulkhead host enroll; each is valid for one host and 15 minutes.`,
  );
};

/** `fetch` puts the actual error into the cause. */
const causeOf = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);

const withSlash = (url: string): string => (url.endsWith('/') ? url : `${url}/`);
