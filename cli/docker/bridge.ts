import { EventEmitter } from 'node:events';
import { type Client, itemsOf, ProblemError, waitForSuccess } from '../../core/client/index.ts';
import type { Container, ContainerSummary } from '../../core/contract/container.ts';
import type { Operation } from '../../core/contract/operation.ts';
import type { Connect } from '../session.ts';
import { DockerError, noSuchContainer } from './errors.ts';
import { isIdPrefix, toDockerId, toUuid } from './ids.ts';

export interface BridgeSettings {
  readonly client: Client;
  readonly connect: Connect;
  readonly now: () => number;
  /** A new identifier of 64 hexadecimal digits. */
  readonly newId: () => string;
  readonly version: string;
  /** Logs a line for the operator of the bridge. */
  readonly log: (line: string) => void;
}

export const isNotFound = (error: unknown): boolean =>
  error instanceof ProblemError && error.code === 'not-found';

/** docker attaches, waits and starts right after it has created a container. */
const JUST_CREATED_MS = 2_000;

/** Many more containers than can end between two polls of a waiting client. */
const KEPT_EXIT_CODES = 1_000;

interface KeptExit {
  readonly exitCode: number;
  readonly removed: boolean;
}

/** The state that the routes share: the API client, and the resolution of docker's references to containers. */
export class Bridge {
  readonly settings: BridgeSettings;
  readonly client: Client;
  /** Emits the id of a container when a session of this bridge has seen its end. */
  readonly ended = new EventEmitter().setMaxListeners(0);
  /** Emits the id of a container when this bridge has removed it. */
  readonly removed = new EventEmitter().setMaxListeners(0);
  readonly #exits = new Map<string, KeptExit>();
  readonly #created = new Map<string, Container>();

  constructor(settings: BridgeSettings) {
    this.settings = settings;
    this.client = settings.client;
  }

  /** Keeps a new container, which docker uses at once. */
  rememberCreated(container: Container): void {
    this.#created.set(container.id, container);
    setTimeout(() => this.#created.delete(container.id), JUST_CREATED_MS).unref();
  }

  /** A container as it was created a moment ago, or as it is now. For requests that do not depend on its current state. */
  async createdOrCurrent(reference: string): Promise<Container> {
    return this.#created.get(toUuid(reference) ?? '') ?? this.container(reference);
  }

  /** Keeps the exit code of a container that the bridge removes, because a waiting client may poll after the removal. */
  keepExitCode(id: string, exitCode: number): void {
    this.#exits.set(id, { exitCode, removed: false });
    const [oldest] = this.#exits.keys();
    if (this.#exits.size > KEPT_EXIT_CODES && oldest !== undefined) this.#exits.delete(oldest);
  }

  exitCodeOf(id: string): number | undefined {
    return this.#exits.get(id)?.exitCode;
  }

  /** Records that a container whose exit code is kept no longer exists. */
  recordRemoval(id: string): void {
    const exit = this.#exits.get(id);
    if (exit !== undefined) this.#exits.set(id, { ...exit, removed: true });
    this.removed.emit(id);
  }

  hasRemoved(id: string): boolean {
    return this.#exits.get(id)?.removed === true;
  }

  get now(): number {
    return this.settings.now();
  }

  async containers(query: { runtimeType?: string } = {}): Promise<ContainerSummary[]> {
    const containers: ContainerSummary[] = [];
    const request = { query: { limit: '200', ...query } };
    for await (const one of itemsOf(this.client, 'listContainers', request)) containers.push(one);
    // Docker lists the newest first.
    return containers.sort((a, b) => b.createdAt.localeCompare(a.createdAt));
  }

  /** A container by its full id, its name, or a prefix of its id, in this order, as in Docker. */
  async container(reference: string): Promise<Container> {
    const name = reference.replace(/^\//, '');
    const found = await this.find(toUuid(name) ?? name);
    if (found !== undefined) return found;
    const matching = isIdPrefix(name)
      ? (await this.containers()).filter(({ id }) => toDockerId(id).startsWith(name))
      : [];
    if (matching.length > 1) throw new DockerError(400, `Multiple IDs found with provided prefix: ${name}`);
    const whole = matching[0] && (await this.find(matching[0].id));
    if (whole === undefined) throw noSuchContainer(name);
    return whole;
  }

  /** @param idOrName in the form of the API. @returns undefined if it does not exist */
  async find(idOrName: string): Promise<Container | undefined> {
    try {
      return await this.client.call('getContainer', { params: { idOrName } });
    } catch (error) {
      // The API refuses an invalid name. No container has such a name.
      const isNone =
        error instanceof ProblemError && (isNotFound(error) || error.code === 'validation-failed');
      if (isNone) return undefined;
      throw error;
    }
  }

  /** Removes a container, and waits until it no longer exists. @throws {OperationFailedError} */
  async remove(
    id: string,
    options: { readonly force: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const query = options.force ? ({ force: 'true' } as const) : {};
    const accepted = await this.client.call('removeContainer', { params: { idOrName: id }, query });
    if ('operation' in accepted) await this.waitForSuccess(accepted.operation, options.signal);
  }

  /** @throws {OperationFailedError} */
  async waitForSuccess(operation: Operation, signal?: AbortSignal): Promise<void> {
    await waitForSuccess(this.client, operation, { signal });
  }
}
