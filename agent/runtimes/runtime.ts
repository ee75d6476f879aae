import type { AssignedContainer, CommandArguments } from '../../core/contract/agent/commands.ts';
import type { IsolationReport, Process, WorkerProcess } from '../../core/contract/compute-process.ts';
import type { Run } from '../../core/contract/container.ts';
import type { HostFacts } from '../../core/contract/host.ts';
import type { ImageFacts } from '../../core/contract/image.ts';
import type { IsolationVerification } from '../../core/contract/isolation-verification.ts';
import type { ResolvedNetworkPolicy } from '../../core/contract/network.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { LogPage } from '../../core/contract/session.ts';
import type { ExecRequest, SessionProcess } from './session-process.ts';

/**
 * The interface between the agent and a machine that runs containers. Its verbs are small, and each step of the planner maps
 * to one verb. Their order is hcsshim's order for a utility VM (VM, guest connection, network, disks, layers in the guest,
 * process), which also fits a QEMU VM and a Docker engine. A runtime that does not need a verb, for example an engine that
 * does everything in one call, records the call and returns.
 *
 * Every implementation must satisfy these rules:
 * 1. Each verb is idempotent: to create an existing resource or to remove a missing one succeeds and changes nothing.
 * 2. Resource names depend only on the container's id, so that the runtime finds its resources after a crash.
 * 3. The runtime tags its resources as Bulkhead's. It does not list or change resources without the tag.
 * 4. `inspect` returns the observed state, not a record of past actions. It works at any time, including between verbs.
 * 5. A verb with a signal rejects soon after the signal is aborted. `inspect` shows what it has created until then.
 * 6. Containers do not depend on this process: they outlive it, and it can read their exit codes afterwards.
 * 7. The verbs of one container are called one at a time. Verbs of different containers can run in parallel.
 *
 * Verbs reject with a `RuntimeError` whose message the container's owner can read.
 */
export interface Runtime {
  /** For logs and `agentVersion`, e.g. `simulated`. */
  readonly name: string;
  facts(): Promise<HostFacts>;
  images(): Promise<readonly ImageFacts[]>;
  /** Returns all of Bulkhead's containers that have resources on this machine, or only the given one. */
  inspect(containerId?: string): Promise<readonly RuntimeContainer[]>;

  /** Creates the layer for the container's changes to its image. Throws `image-not-found`. */
  createWritableLayer(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Converts a stopped container to another runtime type. Throws `runtime-conversion-unsupported`. Throws `untrusted-disk` if
   * this machine's kernel would mount a disk that code in a VM may have written, and the caller did not accept that.
   */
  setRuntimeType(
    container: AssignedContainer,
    acceptUntrustedDisk: boolean,
    signal: AbortSignal,
  ): Promise<void>;
  /** Creates and starts the container's VM, without any process of the container. */
  createUtilityVm(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /** Waits until the guest agent answers. */
  connectGuest(containerId: string, signal: AbortSignal): Promise<void>;
  /** Throws `switch-not-found`. Not called for a container without a network. */
  createNetworkEndpoint(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Applies a policy to the container's network endpoint immediately. Without an endpoint it changes nothing, because
   * `createNetworkEndpoint` applies the policy in `container.spec.network`. Unlike the other verbs, it may be called while
   * another verb of the container runs. The caller then repeats the call with the newest policy.
   */
  setNetworkPolicy(containerId: string, policy: ResolvedNetworkPolicy): Promise<void>;
  /** Attaches image and writable layer to the VM as disks, and acquires the layer's attach lock. */
  attachDisks(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /** Combines image and writable layer into the root file system: in the guest, or on the host. */
  mountLayers(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Starts the main process, unless `instanceId` has been started before. The same start can be requested again after a crash,
   * and must not run twice.
   */
  startProcess(container: AssignedContainer, instanceId: string, signal: AbortSignal): Promise<void>;

  /** Asks the main process to stop, waits `timeoutSeconds`, then kills it; 0 kills it immediately. A killed process has exit code 137. */
  stopProcess(containerId: string, timeoutSeconds: number, signal: AbortSignal): Promise<void>;
  unmountLayers(containerId: string, signal: AbortSignal): Promise<void>;
  detachDisks(containerId: string, signal: AbortSignal): Promise<void>;
  removeNetworkEndpoint(containerId: string, signal: AbortSignal): Promise<void>;
  destroyUtilityVm(containerId: string, signal: AbortSignal): Promise<void>;
  /** Deletes the container's files permanently. */
  removeWritableLayer(containerId: string, signal: AbortSignal): Promise<void>;

  /** Lists the processes inside a running container. Throws `invalid-state` if it is not running. */
  listProcesses(containerId: string): Promise<readonly Process[]>;
  listHostProcesses(): Promise<readonly Process[]>;
  /** Measures what a running container shares with this machine. Throws `invalid-state` if it is not running. */
  isolation(containerId: string): Promise<IsolationReport>;
  /** Runs the probes inside a running container. Throws `invalid-state` if it is not running. */
  verifyIsolation(containerId: string, signal: AbortSignal): Promise<IsolationVerification>;
  /** Starts another process in a running container. Resolves when it runs. Throws `invalid-state`, or the reason for a failed start. */
  startExec(containerId: string, request: ExecRequest): Promise<SessionProcess>;
  /** Attaches to the main process. Throws `invalid-state`. */
  attach(containerId: string, options: AttachOptions): Promise<SessionProcess>;
  /** Reads a page of the log of the newest runs of the main process, even when the process or its VM no longer exists. */
  readLog(containerId: string, query: LogQuery): Promise<LogPage>;
  importImage(request: ImportImage, signal: AbortSignal): Promise<ImageFacts>;
  /** Throws `image-in-use` if a container, running or not, uses the image. */
  removeImage(name: string): Promise<void>;

  /** Calls back when a main process has exited by itself. An exit without a listener is not reported later. */
  onExit(listener: (containerId: string) => void): void;
  /** Releases handles and timers. Containers continue to run. */
  close(): void;
}

export interface LogQuery {
  /** Maximum number of lines; the newest ones are returned. */
  readonly tail?: number | undefined;
  /** Only output at or after this time (RFC 3339). */
  readonly since?: string | undefined;
  /** The cursor of the previous page. */
  readonly cursor?: string | undefined;
  /** The main process waits for this reader, so that no output is lost. Not for terminals. */
  readonly paced?: boolean | undefined;
}

export type ImportImage = Omit<Extract<CommandArguments, { verb: 'importImage' }>, 'verb'>;

export interface AttachOptions {
  /** Begins with the stored output of this run. */
  readonly logs: boolean;
  /** Replaces `logs`: the position in the log to begin at. Not for terminals. */
  readonly cursor?: string | undefined;
  /** The main process waits for this reader, so that no output is lost. Not for terminals. */
  readonly paced?: boolean | undefined;
  /** Whether the process has a terminal. Its output is then shown live, and bytes may be skipped. */
  readonly terminal: boolean;
  /** If the newest run has ended, deliver its output and its exit code, instead of throwing `invalid-state`. */
  readonly evenEnded?: boolean | undefined;
}

/** The observed state of one container, in terms of the planner's steps. */
export interface RuntimeContainer {
  readonly id: string;
  readonly runtimeType: RuntimeType;
  readonly writableLayer: boolean;
  /** Whether image code may have run in a VM with this disk since the container last ran on this machine's kernel. Persistent. */
  readonly untrustedDisk: boolean;
  /** `Spent`: the main process has ended. A VM serves one run only. */
  readonly utilityVm: 'Absent' | 'Created' | 'Connected' | 'Spent';
  readonly networkEndpoint: boolean;
  /** Missing without a network endpoint. */
  readonly address?: string;
  readonly disksAttached: boolean;
  readonly layersMounted: boolean;
  /** The newest run of the main process; null if it has never run. */
  readonly process: MainProcess | null;
  /** The published ports, with the host's ports. */
  readonly ports?: Run['ports'];
  /** The host process that runs the VM. */
  readonly workerProcess: WorkerProcess | null;
}

export interface MainProcess {
  readonly instanceId: string;
  readonly running: boolean;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly exitCode: number | null;
  readonly exitReason: string | null;
  /** Whether it was killed because the container reached its memory limit. */
  readonly outOfMemory?: boolean | undefined;
}
