/**
 * What a part of the embedded cloud must be, to run resources of a CloudFormation template.
 *
 * Lifecycle, driven by `cloud.ts`; every hook is called at most once and in this order:
 *
 * 1. `create(resource)` for each resource, after all that it refers to or depends on. Gives the resource its
 *    identity (the values of `Ref` and `Fn::GetAtt`) and checks its properties. May open a listening socket,
 *    because a port is part of an identity; must not call another engine. One at a time on each engine.
 * 2. `start()` once, all engines in parallel, when every resource exists: make ready to serve calls.
 * 3. `environment()` once: variables that every function is given (endpoints of the services).
 * 4. `activate()` once, when every engine has started: begin to act of one's own accord (pollers, schedules,
 *    deliveries left over from the last run).
 * 5. `quiesce()` once: take nothing new, act no more. Called for all engines before any `stop()`.
 * 6. `stop()` once: release sockets, files and processes. Also called when a start failed half way.
 */

/** A treatment for one property: what the engine does with it. Built by the helpers in `template/properties.ts`. */
export type PropertyRule =
  /** Has its effect here as in AWS. `check` answers what is wrong with a value (already resolved), or undefined. */
  | { readonly kind: 'honoured'; readonly check?: (value: unknown) => string | undefined }
  /** Allowed, with no effect on one machine, for the reason given. */
  | { readonly kind: 'accepted'; readonly reason: string }
  | { readonly kind: 'object'; readonly properties: PropertyRules }
  | { readonly kind: 'list'; readonly of: PropertyRule }
  /** An object with free names (tags, environment variables) whose values follow one rule. */
  | { readonly kind: 'map'; readonly of: PropertyRule };

/** Exact allow-list: a property that is not named here is an error at load. */
export interface PropertyRules {
  readonly [property: string]: PropertyRule;
}

/** A resource whose intrinsic functions have all been replaced by values. */
export interface ResolvedResource {
  readonly logicalId: string;
  /** `Metadata["aws:cdk:path"]`, or the logical id where there is none. */
  readonly path: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What `Ref` and `Fn::GetAtt` of a resource give. `Arn` belongs in `attributes`. */
export interface ResourceIdentity {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface ResourceEngine {
  /** Each resource type that this engine runs, with the allow-list of its properties. */
  readonly types: Readonly<Record<string, PropertyRules>>;
  /** @throws TemplateProblem when a value (not a name: those are checked before) can't be honoured. */
  create(resource: ResolvedResource): ResourceIdentity | Promise<ResourceIdentity>;
  start?(): Promise<void>;
  environment?(): Readonly<Record<string, string>>;
  activate?(): Promise<void>;
  quiesce?(): Promise<void>;
  stop?(): Promise<void>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `callback` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The answer of a synchronous invocation, as the Lambda Invoke API gives it. */
export interface InvocationResult {
  /** JSON text: the function's result, or `{errorType, errorMessage, trace?}` when `functionError` is set. */
  readonly payload: string;
  readonly functionError?: 'Handled' | 'Unhandled';
  readonly requestId: string;
}

/** What other engines may ask of Lambda. `functionName`: a name, an ARN (also `…:$LATEST`), as in the Invoke API. */
export interface FunctionInvoker {
  /**
   * @param payload JSON text.
   * @param signal abandoning the wait; the invocation itself goes on, as in Lambda.
   * @throws FunctionNotFoundError; a failing function is a result with `functionError`, not a throw.
   */
  invoke(functionName: string, payload: string, signal?: AbortSignal): Promise<InvocationResult>;
  /**
   * Asynchronous invocation (`InvocationType: Event`): durable before this resolves; then retried, and sent to
   * its dead-letter queue or on-failure destination as configured. Resolves with the request id.
   */
  invokeAsync(functionName: string, payload: string): Promise<string>;
}

/** A request handler mounted on the front door. Answers whether it took the request. */
export type RequestHandler = (
  request: import('node:http').IncomingMessage,
  response: import('node:http').ServerResponse,
) => boolean | Promise<boolean>;

/** The loopback HTTP server on which AWS APIs are served. */
export interface FrontDoor {
  /** Without a trailing slash, such as `http://127.0.0.1:41234`. Valid from the first `create` on. */
  readonly url: string;
  /**
   * Serves every request whose path begins with `prefix` (such as `/_ws/abc123/live`), before AWS-protocol
   * routing. The longest matching prefix wins. `request.url` is passed on whole.
   */
  mount(prefix: string, handler: RequestHandler): void;
  /** Hands requests whose `x-amz-target` begins so on to where they are answered. */
  forward(prefix: string, forward: import('./endpoint/front-door.ts').Forward): void;
}

/** What every engine is built with: `createXEngine(context, …)`. */
export interface CloudContext {
  readonly region: string;
  readonly accountId: string;
  readonly partition: string;
  readonly stackName: string;
  /** Absolute; exists. Holds all that must survive a restart. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A new UUID, lower case. */
  readonly newId: () => string;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly functions: FunctionInvoker;
  readonly frontDoor: FrontDoor;
  /** What requests to AWS's endpoints have to be signed with. */
  readonly credentials: import('./endpoint/credentials.ts').Credentials;
}
