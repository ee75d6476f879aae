import { readFile } from 'node:fs/promises';
import type { IsolationReport, Process } from '../../../core/contract/compute-process.ts';
import type { IsolationVerification } from '../../../core/contract/isolation-verification.ts';
import { readLimits } from './cgroups.ts';
import { GuestStream, openGuestStream } from './channel/guest-stream.ts';
import { type ListingContext, listMachineProcesses, parseUserNames } from './container/process-lists.ts';
import type { LinuxDeps } from './deps.ts';
import type { HostParts } from './host-parts.ts';
import { reportIsolation, visibleOnHost } from './isolation.ts';
import { type Surroundings, surroundingsOf } from './verify/surroundings.ts';
import { type VerifiedContainer, verifyIsolation } from './verify/verify-isolation.ts';

type Parts = Pick<HostParts, 'records' | 'network' | 'defaults' | 'vms' | 'runs'>;

/** Lists the processes of containers and of this host, and measures the isolation between them. */
export class ContainerIsolation {
  readonly #deps: LinuxDeps;
  readonly #records: Parts['records'];
  readonly #network: Parts['network'];
  readonly #defaults: Parts['defaults'];
  readonly #vms: Parts['vms'];
  readonly #runs: Parts['runs'];

  constructor(deps: LinuxDeps, { records, network, defaults, vms, runs }: Parts) {
    this.#deps = deps;
    this.#records = records;
    this.#network = network;
    this.#defaults = defaults;
    this.#vms = vms;
    this.#runs = runs;
  }

  async listProcesses(containerId: string): Promise<readonly Process[]> {
    if (this.#vms.get(containerId)) return this.#vms.listProcesses(containerId);
    return this.#defaults.listProcesses(await this.#runs.requireProcess(containerId));
  }

  async listHostProcesses(): Promise<readonly Process[]> {
    return listMachineProcesses(await this.#listingContext());
  }

  async #listingContext(): Promise<ListingContext> {
    const userNames = new Map(parseUserNames(await readFile('/etc/passwd', 'utf8').catch(() => '')));
    for (const [uid, name] of this.#vms.workerUsers()) userNames.set(uid, name);
    return { now: this.#deps.clock.now(), userNames };
  }

  /**
   * Measures what a container shares with this host.
   * @throws {RuntimeError} `invalid-state` if the container is not running
   */
  async report(containerId: string): Promise<IsolationReport> {
    const { runtimeType } = await this.#records.require(containerId);
    const measured =
      runtimeType === 'HyperV'
        ? { containerKernel: await this.#vms.kernelRelease(containerId) }
        : await this.#defaults.measure(await this.#runs.requireProcess(containerId));
    const containerProcesses = await this.listProcesses(containerId);
    const workerProcess = this.#vms.workerProcess(containerId);
    const isVisible = visibleOnHost(containerProcesses, workerProcess);
    return reportIsolation({
      runtimeType,
      ...measured,
      containerProcesses,
      visibleOnHost: await listMachineProcesses(await this.#listingContext(), isVisible),
      workerProcess,
      network: await this.#network.report(containerId),
    });
  }

  async verify(containerId: string, signal: AbortSignal): Promise<IsolationVerification> {
    const { runtimeType } = await this.#records.require(containerId);
    const surroundings = { runtimeType, ...(await this.#surroundings(containerId)) };
    return verifyIsolation(this.#deps, await this.#probed(containerId, surroundings), signal);
  }

  async #surroundings(id: string): Promise<Surroundings> {
    return surroundingsOf(id, await this.#records.ids(), (one) => this.#network.endpoint(one));
  }

  /** Starts the probe inside the container, and measures the container from the host. */
  async #probed(
    id: string,
    surroundings: Surroundings & Pick<VerifiedContainer, 'runtimeType'>,
  ): Promise<VerifiedContainer> {
    const entry = this.#vms.get(id);
    if (entry)
      return {
        ...surroundings,
        hostProcess: entry.vm.id,
        limits: await this.#vms.limits(id),
        start: (args) => openGuestStream(this.#vms.probe(id, args), this.#deps.clock),
      };
    const main = await this.#runs.requireProcess(id);
    return {
      ...surroundings,
      hostProcess: `id=${id}`,
      limits: await readLimits(this.#deps.layout.tag, id),
      start: async (args) => new GuestStream(await this.#defaults.probe(id, main, args), this.#deps.clock),
    };
  }
}
