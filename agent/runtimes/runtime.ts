import type { AssignedContainer, CommandArguments } from '../../core/contract/agent/commands.ts';
import type { IsolationReport, Process, WorkerProcess } from '../../core/contract/compute-process.ts';
import type { HostFacts } from '../../core/contract/host.ts';
import type { ImageFacts } from '../../core/contract/image.ts';
import type { IsolationVerification } from '../../core/contract/isolation-verification.ts';
import type { ResolvedNetworkPolicy } from '../../core/contract/network.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { LogPage } from '../../core/contract/session.ts';
import type { ExecRequest, SessionProcess } from './session-process.ts';

/**
 * What the agent needs of a machine that runs containers: small verbs, to which the planner's steps map one
 * to one. The order is hcsshim's for a utility VM (VM, guest connection, network, disks, layers in the
 * guest, process) and fits a QEMU VM and a Docker engine as well; a runtime for which a verb means nothing
 * (an engine that does it all in one call) records it and returns.
 *
 * What every implementation must keep:
 * 1. Each verb is idempotent: making what is there and ending what is not are successes that change nothing.
 * 2. Names of what it makes follow from the container's id alone, so that it finds them again after a crash.
 * 3. Whatever it makes is tagged as Bulkhead's; it neither lists nor touches anything that is not.
 * 4. `inspect` tells reality, never a memory of what was done. It works at any moment, also between verbs.
 * 5. A verb that takes a signal ends soon after it is aborted, rejecting; what it half made, `inspect` shows.
 * 6. Containers do not depend on this process: they outlive it, and it finds their exit codes afterwards.
 * 7. The verbs of one container are called one at a time, of different containers at once.
 *
 * Verbs reject with a `RuntimeError` whose message the container's owner can read.
 */
export interface Runtime {
  /** For logs and `agentVersion`, e.g. `simulated`. */
  readonly name: string;
  facts(): Promise<HostFacts>;
  images(): Promise<readonly ImageFacts[]>;
  /** Every container of Bulkhead's of which anything is there, or the one asked for. */
  inspect(containerId?: string): Promise<readonly RuntimeContainer[]>;

  /** The container's files, over its image. Throws `image-not-found`. */
  createWritableLayer(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Runtime conversion of a container that is down. Throws `runtime-conversion-unsupported`, and `untrusted-disk` where
   * this machine's kernel would mount a disk that code in a VM may have written and that was not accepted.
   */
  setRuntimeType(
    container: AssignedContainer,
    acceptUntrustedDisk: boolean,
    signal: AbortSignal,
  ): Promise<void>;
  /** Makes and starts the container's own VM; nothing of the container runs in it yet. */
  createUtilityVm(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /** Waits until the guest's agent answers. */
  connectGuest(containerId: string, signal: AbortSignal): Promise<void>;
  /** Throws `switch-not-found`. Not called for a container without a network. */
  createNetworkEndpoint(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Puts a policy in force for a container that has a network endpoint, at once; without one it changes nothing, for
   * `createNetworkEndpoint` takes the policy from `container.spec.network`. Unlike the other verbs it may be called
   * while another verb of the container is under way, and its caller repeats it with the newest policy afterwards.
   */
  setNetworkPolicy(containerId: string, policy: ResolvedNetworkPolicy): Promise<void>;
  /** Gives image and writable layer to the VM as disks; takes the layer's attach lock. */
  attachDisks(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /** Combines image and writable layer into the root file system: in the guest, or on the host. */
  mountLayers(container: AssignedContainer, signal: AbortSignal): Promise<void>;
  /**
   * Starts the main process, unless `instanceId` has been started before: then it has had its run. The same
   * start may be asked for again after a crash, and must not run twice.
   */
  startProcess(container: AssignedContainer, instanceId: string, signal: AbortSignal): Promise<void>;

  /** Asks the main process to end, waits `timeoutSeconds`, then forces it; 0 forces at once. Exit codes: 137 when forced. */
  stopProcess(containerId: string, timeoutSeconds: number, signal: AbortSignal): Promise<void>;
  unmountLayers(containerId: string, signal: AbortSignal): Promise<void>;
  detachDisks(containerId: string, signal: AbortSignal): Promise<void>;
  removeNetworkEndpoint(containerId: string, signal: AbortSignal): Promise<void>;
  destroyUtilityVm(containerId: string, signal: AbortSignal): Promise<void>;
  /** The container's files go for good. */
  removeWritableLayer(containerId: string, signal: AbortSignal): Promise<void>;

  /** Processes inside a running container. Throws `invalid-state` when it does not run. */
  listProcesses(containerId: string): Promise<readonly Process[]>;
  listHostProcesses(): Promise<readonly Process[]>;
  /** What a running container shares with this machine, measured. Throws `invalid-state` when it does not run. */
  isolation(containerId: string): Promise<IsolationReport>;
  /** Runs the probes inside a running container. Throws `invalid-state` when it does not run. */
  verifyIsolation(containerId: string, signal: AbortSignal): Promise<IsolationVerification>;
  /** Starts a process beside the main one. Resolves when it runs. Throws `invalid-state`, or why it cannot be started. */
  startExec(containerId: string, request: ExecRequest): Promise<SessionProcess>;
  /** Joins the main process. Throws `invalid-state`. */
  attach(containerId: string, options: AttachOptions): Promise<SessionProcess>;
  /** A page of what the main process wrote, of its newest runs; also when it, or its VM, is gone. */
  readLog(containerId: string, query: LogQuery): Promise<LogPage>;
  importImage(request: ImportImage, signal: AbortSignal): Promise<ImageFacts>;
  /** Throws `image-in-use` while a container, running or not, is made from it. */
  removeImage(name: string): Promise<void>;

  /** Calls back when a main process has exited on its own. Ends without a listener are not reported later. */
  onExit(listener: (containerId: string) => void): void;
  /** Releases handles and timers. Containers keep running. */
  close(): void;
}

export interface LogQuery {
  /** The newest so many lines. */
  readonly tail?: number | undefined;
  /** Only what was written at that time or later (RFC 3339). */
  readonly since?: string | undefined;
  /** Where the last page ended. */
  readonly cursor?: string | undefined;
  /** The main process waits for this reader, who then misses nothing. Not on a terminal. */
  readonly paced?: boolean | undefined;
}

export type ImportImage = Omit<Extract<CommandArguments, { verb: 'importImage' }>, 'verb'>;

export interface AttachOptions {
  /** Begins with what this run has written already, as far as it is kept. */
  readonly logs: boolean;
  /** In place of `logs`: a place in its log to begin at. Not on a terminal. */
  readonly cursor?: string | undefined;
  /** The main process waits for this reader, who then misses nothing. Not on a terminal. */
  readonly paced?: boolean | undefined;
  /** The process has a terminal: it is shown as it happens, not each byte of it. */
  readonly terminal: boolean;
}

/** What is there of one container, in the terms of the steps. */
export interface RuntimeContainer {
  readonly id: string;
  readonly runtimeType: RuntimeType;
  readonly writableLayer: boolean;
  /** Code of an image may have run in a VM that had the disk since it last ran on this machine's kernel. Kept over restarts. */
  readonly untrustedDisk: boolean;
  /** `Spent`: its main process has ended. A VM is for one run; there is no second one in it. */
  readonly utilityVm: 'Absent' | 'Created' | 'Connected' | 'Spent';
  readonly networkEndpoint: boolean;
  readonly disksAttached: boolean;
  readonly layersMounted: boolean;
  /** The newest run of the main process; null if it has never run. */
  readonly process: MainProcess | null;
  /** The process on the host that stands for the VM. */
  readonly workerProcess: WorkerProcess | null;
}

export interface MainProcess {
  readonly instanceId: string;
  readonly running: boolean;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly exitCode: number | null;
  readonly exitReason: string | null;
}
