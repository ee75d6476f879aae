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

/** Options of a call, in addition to the parts of its route. */
export interface CallOptions {
  /** The required ETag of the resource, or `*`. */
  readonly ifMatch?: string;
  /** Set it to repeat a mutation safely in a later call. @default a new key for each call */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Path parameters, query and body of a route, typed. */
export type RequestOf<Id extends OperationId> = CallOptions &
  Has<'params', Input<Member<RouteOf<Id>, 'parameters'>>> &
  May<'query', Input<Member<RouteOf<Id>, 'query'>>> &
  BodyOf<RouteOf<Id>>;

type Responses<Id extends OperationId> = RouteOf<Id>['responses'];

/** The success response of a route; for several statuses the union of their bodies. */
export type BodyOfAnswer<Id extends OperationId> = {
  [Status in keyof Responses<Id>]: Output<Responses<Id>[Status]>;
}[keyof Responses<Id>];

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
  /** For use as `If-Match`. */
  readonly etag: string | undefined;
  readonly requestId: string | undefined;
  /** Time to wait before the next request, as requested by the API, in milliseconds. */
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
  /** The base URL of `/v1/…`, without a trailing slash. */
  readonly apiUrl: string;
  /** A bearer token, or a function that returns one before each attempt. */
  readonly token?: string | (() => string | Promise<string>);
  readonly fetch: Fetch;
  /** Resolves after the given milliseconds; rejects when the signal aborts. */
  readonly sleep?: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** From 0 to 1. */
  readonly random?: () => number;
  readonly newKey?: () => string;
  readonly now?: () => number;
  /** Number of attempts per call, including the first. */
  readonly attempts?: number;
  /** Called before a pause after 429, with its length in milliseconds. */
  readonly onThrottled?: (milliseconds: number) => void;
  /** Sent to the API with each call. */
  readonly userAgent?: string;
}
