/**
 * The interface of an engine of the embedded cloud, which runs resources of a CloudFormation template.
 *
 * Lifecycle, driven by `cloud.ts`; every hook is called at most once and in this order:
 *
 * 1. `create(resource)` for each resource, after the ones that it refers to or depends on. Gives the resource its
 *    identity (the values of `Ref` and `Fn::GetAtt`) and checks its properties. May open a listening socket,
 *    because a port is part of an identity; must not call another engine. One call at a time per engine.
 * 2. `start()` once, all engines in parallel, when every resource exists: get ready to serve calls.
 * 3. `environment()` once: variables for every function (endpoints of the services).
 * 4. `activate()` once, when every engine has started: start background work (pollers, schedules,
 *    deliveries left over from the last run).
 * 5. `quiesce()` once: accept nothing new, stop background work. Called for all engines before any `stop()`.
 * 6. `stop()` once: release sockets, files and processes. Also called after a failed start.
 */

/** How the engine handles a property. Built by the helpers in `template/properties.ts`. */
export type PropertyRule =
  /** Has the same effect as in AWS. `check` returns what is wrong with a resolved value, or undefined. */
  | { readonly kind: 'honoured'; readonly check?: (value: unknown) => string | undefined }
  /** Accepted without effect on one machine, for the given reason. */
  | { readonly kind: 'accepted'; readonly reason: string }
  | { readonly kind: 'object'; readonly properties: PropertyRules }
  | { readonly kind: 'list'; readonly of: PropertyRule }
  /** An object with free names (tags, environment variables) whose values follow one rule. */
  | { readonly kind: 'map'; readonly of: PropertyRule };

/** Exact allow-list: any other property is an error at load. */
export interface PropertyRules {
  readonly [property: string]: PropertyRule;
}

/** A resource with all intrinsic functions resolved. */
export interface ResolvedResource {
  readonly logicalId: string;
  /** `Metadata["aws:cdk:path"]`, or the logical id without it. */
  readonly path: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The values of `Ref` and `Fn::GetAtt` of a resource. `Arn` belongs in `attributes`. */
export interface ResourceIdentity {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface ResourceEngine {
  /** Each resource type that this engine runs, with the allow-list of its properties. */
  readonly types: Readonly<Record<string, PropertyRules>>;
  /** @throws TemplateProblem if a value is not supported. Property names are checked before. */
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
  /** Runs `callback` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The result of a synchronous invocation, as in the Lambda Invoke API. */
export interface InvocationResult {
  /** JSON text: the function's result, or `{errorType, errorMessage, trace?}` when `functionError` is set. */
  readonly payload: string;
  readonly functionError?: 'Handled' | 'Unhandled';
  readonly requestId: string;
}

/** Lambda, as other engines can use it. `functionName`: a name, an ARN (also `…:$LATEST`), as in the Invoke API. */
export interface FunctionInvoker {
  /**
   * @param payload JSON text.
   * @param signal ends the wait; the invocation itself continues, as in Lambda.
   * @throws FunctionNotFoundError; a failing function gives a result with `functionError`.
   */
  invoke(functionName: string, payload: string, signal?: AbortSignal): Promise<InvocationResult>;
  /**
   * Asynchronous invocation (`InvocationType: Event`): durable before this resolves; then retried, and sent to
   * its dead-letter queue or on-failure destination as configured. Resolves with the request id.
   */
  invokeAsync(functionName: string, payload: string): Promise<string>;
}

/** A request handler mounted on the loopback server. Returns whether it handled the request. */
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
   * routing. The longest matching prefix wins. `request.url` is passed on unchanged.
   */
  mount(prefix: string, handler: RequestHandler): void;
  /** Forwards requests whose `x-amz-target` starts with the prefix. */
  forward(prefix: string, forward: import('./endpoint/loopback-server.ts').Forward): void;
}

/** The context of every engine: `createXEngine(context, …)`. */
export interface CloudContext {
  readonly region: string;
  readonly accountId: string;
  readonly partition: string;
  readonly stackName: string;
  /** Absolute path of an existing folder. Contains all state that must survive a restart. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A new UUID, lower case. */
  readonly newId: () => string;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly functions: FunctionInvoker;
  readonly frontDoor: FrontDoor;
  /** The credentials for signing requests to AWS's endpoints. */
  readonly credentials: import('./endpoint/credentials.ts').Credentials;
}
