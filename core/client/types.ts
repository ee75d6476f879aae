import type * as z from 'zod/mini';
import type { OperationId, Route, RouteOf } from '../contract/http/routes.ts';

type Input<Schema> = Schema extends z.ZodMiniType ? z.input<Schema> : never;
type Output<Schema> = Schema extends z.ZodMiniType ? z.output<Schema> : undefined;
type Member<R, Name extends keyof Route> = R extends Readonly<Record<Name, infer Schema>> ? Schema : never;
type Has<Name extends string, Value> = [Value] extends [never]
  ? { readonly [N in Name]?: undefined }
  : { readonly [N in Name]: Value };
type May<Name extends string, Value> = { readonly [N in Name]?: [Value] extends [never] ? undefined : Value };

type BodyOf<R> =
  R extends Readonly<Record<'bodyOptional', true>>
    ? May<'body', Input<Member<R, 'body'>>>
    : Has<'body', Input<Member<R, 'body'>>>;

/** What a call may carry beside the parts of its route. */
export interface CallOptions {
  /** The ETag that the resource must still have, or `*`. */
  readonly ifMatch?: string;
  /** For a caller that repeats a mutation itself, later; left out, each call is given a key of its own. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Path parameters, query and body of a route, with the route's own types. */
export type RequestOf<Id extends OperationId> = CallOptions &
  Has<'params', Input<Member<RouteOf<Id>, 'parameters'>>> &
  May<'query', Input<Member<RouteOf<Id>, 'query'>>> &
  BodyOf<RouteOf<Id>>;

type Responses<Id extends OperationId> = RouteOf<Id>['responses'];

/** What a route answers when it is done: of several statuses, the union of their bodies. */
export type BodyOfAnswer<Id extends OperationId> = {
  [Status in keyof Responses<Id>]: Output<Responses<Id>[Status]>;
}[keyof Responses<Id>];

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
  /** As `If-Match` takes it. */
  readonly etag: string | undefined;
  readonly requestId: string | undefined;
  /** How long the API asks to wait before the same is asked again, in milliseconds. */
  readonly retryAfterMs: number | undefined;
}

/** The part of `fetch` that the client uses. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
    readonly signal: AbortSignal;
  },
) => Promise<FetchAnswer>;

export interface FetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}

export interface ClientSettings {
  /** Where `/v1/…` is, without a slash at the end. */
  readonly apiUrl: string;
  /** A bearer token, or where to get one before each attempt. */
  readonly token?: string | (() => string | Promise<string>);
  readonly fetch: Fetch;
  /** Resolves after so many milliseconds; rejects when the signal aborts. */
  readonly sleep?: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** From 0 to 1. */
  readonly random?: () => number;
  readonly newKey?: () => string;
  readonly now?: () => number;
  /** Tries of one call, the first one included. */
  readonly attempts?: number;
  /** Told before a pause because the API answered 429, with its length in milliseconds. */
  readonly onTurnedAway?: (milliseconds: number) => void;
  /** Said to the API at each call. */
  readonly userAgent?: string;
}
