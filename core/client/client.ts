import { type OperationId, ROUTES, type Route } from '../contract/http/routes.ts';
import { isProblem, type RawAnswer, readAnswer } from './answers.ts';
import { type Effects, withDefaults } from './effects.ts';
import { ConnectionError } from './errors.ts';
import { type AnyRequest, isDryRun, targetOf } from './request.ts';
import { pauseBeforeRetry, retryAfterMs } from './retry.ts';
import type { Answer, BodyOfAnswer, ClientSettings, FetchAnswer, RequestOf } from './types.ts';

/** Longer than the API's maximum response time (30 s), so that the gateway's error arrives before the timeout. */
const ATTEMPT_TIMEOUT_MS = 35_000;

/** HTTP status of a request beyond the tenant's share, which was not processed. */
const TOO_MANY = 429;

const routeOf = new Map<string, Route>(ROUTES.map((route) => [route.operationId, route]));

/**
 * The API of Bulkhead as typed calls, one for each route of the contract. The only platform dependency is `fetch`, which is
 * injected. Mutations have an idempotency key, so that a repeat has no effect.
 */
export class Client {
  readonly #effects: Effects;

  constructor(settings: ClientSettings) {
    this.#effects = withDefaults(settings);
  }

  get apiUrl(): string {
    return this.#effects.apiUrl;
  }

  /** The clock and the timers of this client, for code that builds on it. */
  get effects(): Pick<Effects, 'sleep' | 'now'> {
    return this.#effects;
  }

  /**
   * Calls a route by its name in the contract.
   * @returns the body with status and ETag
   * @throws {ProblemError} the API refused the request
   * @throws {ConnectionError} the API did not respond
   * @throws {AnswerError} the response violates the contract
   */
  async send<Id extends OperationId>(id: Id, request: RequestOf<Id>): Promise<Answer<BodyOfAnswer<Id>>> {
    const route = routeOf.get(id) as Route;
    const answer = await this.#sendUntilAnswered(route, request as AnyRequest);
    const body = readAnswer(route, answer) as BodyOfAnswer<Id>;
    const { status, etag, requestId, retryAfter } = answer;
    return { status, body, etag, requestId, retryAfterMs: retryAfterMs(retryAfter, this.#effects.now()) };
  }

  /** Like {@link send}, but returns only the body. */
  async call<Id extends OperationId>(id: Id, request: RequestOf<Id>): Promise<BodyOfAnswer<Id>> {
    return (await this.send(id, request)).body;
  }

  async #sendUntilAnswered(
    route: Route,
    request: AnyRequest,
  ): Promise<RawAnswer & { etag?: string; retryAfter: string | null }> {
    const key = this.#keyFor(route, request);
    const repeatable = route.method === 'GET' || key !== undefined || isDryRun(request);
    for (let attempt = 0; ; attempt += 1) {
      request.signal?.throwIfAborted();
      const answer = await this.#attempt(route, request, key);
      const failure = answer instanceof ConnectionError;
      const outcome = failure
        ? undefined
        : { status: answer.status, isProblem: isProblem(answer), retryAfter: answer.retryAfter };
      const isThrottled = outcome?.status === TOO_MANY;
      const pause = repeatable || isThrottled ? pauseBeforeRetry(attempt, outcome, this.#effects) : undefined;
      if (pause !== undefined) {
        if (isThrottled) this.#effects.onThrottled(pause);
        await this.#effects.sleep(pause, request.signal);
      } else if (failure) throw answer;
      else return answer;
    }
  }

  #keyFor(route: Route, request: AnyRequest): string | undefined {
    if (route.mutation === undefined || isDryRun(request)) return undefined;
    return request.idempotencyKey ?? this.#effects.newKey();
  }

  async #attempt(route: Route, request: AnyRequest, key: string | undefined) {
    const headers = await this.#headers(request, key);
    const timeout = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);
    const { fetch, apiUrl } = this.#effects;
    try {
      const response = await fetch(`${apiUrl}${targetOf(route, request)}`, {
        method: route.method,
        headers,
        signal,
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      });
      return await readRaw(response);
    } catch (cause) {
      request.signal?.throwIfAborted();
      return new ConnectionError(`The API at ${apiUrl} does not answer${reasonOf(cause)}.`, {
        cause,
        suggestion:
          'Check that the control plane is running (`npm start` for a local one) and that the URL is correct (`bulkhead config`).',
      });
    }
  }

  async #headers(request: AnyRequest, key: string | undefined): Promise<Record<string, string>> {
    const { token, userAgent } = this.#effects;
    const bearer = typeof token === 'function' ? await token() : token;
    return {
      accept: 'application/json',
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(userAgent === undefined ? {} : { 'user-agent': userAgent }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...(request.ifMatch === undefined ? {} : { 'if-match': request.ifMatch }),
    };
  }
}

const readRaw = async (response: FetchAnswer) => {
  const header = (name: string): string | undefined => response.headers.get(name) ?? undefined;
  return {
    status: response.status,
    contentType: header('content-type') ?? '',
    text: await response.text(),
    requestId: header('apigw-requestid') ?? header('x-request-id'),
    etag: header('etag'),
    retryAfter: response.headers.get('retry-after'),
  };
};

/** Node stores the reason of a failed fetch in the cause of the error. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return '';
  const inner = error.cause instanceof Error ? error.cause : error;
  const text = (inner as { readonly code?: string }).code ?? inner.message;
  return text === '' ? '' : ` (${text})`;
};
