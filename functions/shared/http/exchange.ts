import type * as z from 'zod/mini';
import type { OperationId, Route, RouteOf } from '../../../core/contract/http/routes.ts';
import type { Write } from '../../../store/table.ts';
import type { Logger } from '../../../workflow/logger.ts';

/** The members that are read of API Gateway's event (payload format 2.0). */
export interface HttpEvent {
  readonly routeKey: string;
  readonly rawPath: string;
  readonly rawQueryString?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly pathParameters?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
  readonly requestContext: {
    readonly requestId: string;
    readonly http: { readonly method: string };
    readonly authorizer?: { readonly jwt?: { readonly claims?: Readonly<Record<string, unknown>> } };
  };
}

/** A handler's response. The body is sent as JSON. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A response exactly as it is sent. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The caller, only from the validated token. */
export interface Identity {
  readonly tenant: string;
  /** The token's subject. */
  readonly actor: string;
  readonly scopes: ReadonlySet<string>;
}

type Member<R, Name extends string> = R extends { readonly [K in Name]: infer S extends z.ZodMiniType }
  ? z.output<S>
  : Record<never, never>;

/** A validated request of one route. */
export interface RouteRequest<R extends Route> {
  readonly requestId: string;
  readonly logger: Logger;
  readonly identity: R['scope'] extends null ? null : Identity;
  readonly params: Member<R, 'parameters'>;
  readonly query: Member<R, 'query'>;
  readonly body: Member<R, 'body'>;
  readonly dryRun: boolean;
  /** `If-Match`: a revision, `*` (the resource must exist), or null without the header. */
  readonly ifMatch: number | '*' | null;
  /** How long the tenant may occupy this function instance by waiting, in seconds. */
  readonly secondsToWait: number;
  /**
   * The write that stores `answer` for a repeat with the same `Idempotency-Key`; none without a key. It belongs in the
   * transaction that makes the change, so that both are written or neither.
   */
  readonly remember: (answer: Answer) => readonly Write[];
}

export type RouteHandler<Id extends OperationId> = (request: RouteRequest<RouteOf<Id>>) => Promise<Answer>;
export type RouteHandlers<Ids extends OperationId> = { readonly [Id in Ids]: RouteHandler<Id> };

/** What the middlewares have determined about a request so far. */
export interface Exchange {
  readonly event: HttpEvent;
  readonly startedAt: number;
  logger: Logger;
  route?: Route;
  identity?: Identity;
  input?: ValidatedInput;
}

/** The validated parts of a request. */
export interface ValidatedInput {
  readonly params: unknown;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  /** The raw body, in UTF-8. */
  readonly bodyText: string;
  readonly ifMatch: number | '*' | null;
  readonly idempotencyKey: string | null;
}
