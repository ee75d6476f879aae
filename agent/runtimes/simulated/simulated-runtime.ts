import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { ImageFacts } from '../../../core/contract/image.ts';
import type { ResolvedNetworkPolicy } from '../../../core/contract/network.ts';
import { type Clock, sleep } from '../../clock.ts';
import { RuntimeError } from '../../errors.ts';
import { hostNameOf } from '../host-name.ts';
import type { AttachOptions, ImportImage, LogQuery, Runtime, RuntimeContainer } from '../runtime.ts';
import type { ExecRequest, SessionProcess } from '../session-process.ts';
import { refuseUntrustedDisk } from '../untrusted-disk.ts';
import { BesideMain, simulatedIsolation, simulatedKernel } from './beside-main.ts';
import { behaviourOf } from './commands.ts';
import { type SimulatedMachine, simulatedDigest } from './kinds.ts';
import { simulatedLog } from './main-output.ts';
import { FORCED_EXIT_CODE, MainProcesses } from './main-processes.ts';
import { containerProcesses, hostProcesses, workerProcess } from './process-tables.ts';
import type { Surroundings } from './programs.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { simulatedVerification } from './simulated-verification.ts';
import { createTakeStep, type TakeStepDeps } from './take-step.ts';
import { simulatedUser } from './users.ts';
import type { SimulatedContainer, World } from './world.ts';

interface SimulatedRuntimeDeps extends TakeStepDeps {
  readonly machine: SimulatedMachine;
  readonly world: World;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** A machine that is stored in a file and behaves as documented. For tests, and for trying Bulkhead. */
export class SimulatedRuntime implements Runtime {
  readonly name = 'simulated';
  readonly #machine: SimulatedMachine;
  readonly #world: World;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #processes: MainProcesses;
  readonly #beside = new BesideMain();
  readonly #step: ReturnType<typeof createTakeStep>;

  constructor(deps: SimulatedRuntimeDeps) {
    this.#machine = deps.machine;
    this.#world = deps.world;
    this.#clock = deps.clock;
    this.#newId = deps.newId;
    this.#processes = new MainProcesses(deps.world, deps.clock, (id, exitCode) =>
      this.#beside.mainEnded(id, exitCode),
    );
    this.#step = createTakeStep(deps);
  }

  async facts() {
    return this.#machine.facts;
  }

  async images() {
    return this.#world.images();
  }

  async inspect(containerId?: string): Promise<RuntimeContainer[]> {
    const ids = containerId === undefined ? this.#world.containers().map(({ id }) => id) : [containerId];
    for (const id of ids) this.#processes.settle(id);
    return ids.flatMap((id) => this.#world.container(id) ?? []).map((one) => this.#describe(one));
  }

  createWritableLayer(container: AssignedContainer, signal: AbortSignal) {
    return this.#step('createWritableLayer', signal, () => {
      if (this.#world.container(container.id) !== null) return;
      if (this.#world.image(container.spec.image) === null)
        throw new RuntimeError('image-not-found', `This host has no image "${container.spec.image}".`);
      this.#world.add({
        id: container.id,
        container,
        layerId: this.#newId(),
        utilityVm: 'Absent',
        networkEndpoint: false,
        networkPolicy: null,
        disksAttached: false,
        layersMounted: false,
        untrustedDisk: false,
        run: null,
        runs: [],
      });
    });
  }

  setRuntimeType(container: AssignedContainer, acceptUntrustedDisk: boolean, signal: AbortSignal) {
    return this.#step('setRuntimeType', signal, () => {
      const one = this.#known(container);
      if (one.container.runtimeType === container.runtimeType) return;
      refuseUntrustedDisk(one, container, acceptUntrustedDisk);
      const { capabilities, os } = this.#machine.facts;
      if (capabilities.runtimeConversion !== 'inPlace')
        throw new RuntimeError(
          'runtime-conversion-unsupported',
          `A ${os.sku} host cannot convert a container's runtime type.`,
        );
      this.#world.change(container.id, () => ({ container }));
    });
  }

  createUtilityVm(container: AssignedContainer, signal: AbortSignal) {
    return this.#step('createUtilityVm', signal, () => {
      if (this.#known(container).utilityVm === 'Absent')
        this.#world.change(container.id, () => ({ utilityVm: 'Created' }));
    });
  }

  connectGuest(id: string, signal: AbortSignal) {
    return this.#step('connectGuest', signal, () => {
      if ((this.#world.container(id)?.utilityVm ?? 'Absent') === 'Absent')
        throw new RuntimeError('invalid-state', 'The container has no utility VM to connect to.');
      this.#world.change(id, ({ utilityVm }) => ({
        utilityVm: utilityVm === 'Created' ? 'Connected' : utilityVm,
      }));
    });
  }

  createNetworkEndpoint(container: AssignedContainer, signal: AbortSignal) {
    return this.#step('createNetworkEndpoint', signal, () => {
      const wanted = container.spec.switchName;
      if (!this.#machine.facts.switches.some((name) => name.toLowerCase() === wanted.toLowerCase()))
        throw new RuntimeError('switch-not-found', `This host has no switch "${wanted}".`);
      this.#known(container);
      this.#world.change(container.id, () => ({
        networkEndpoint: true,
        networkPolicy: container.spec.network,
      }));
    });
  }

  setNetworkPolicy(id: string, networkPolicy: ResolvedNetworkPolicy) {
    return this.#step('setNetworkPolicy', new AbortController().signal, () =>
      this.#world.change(id, ({ networkEndpoint }) => (networkEndpoint ? { networkPolicy } : {})),
    );
  }

  attachDisks(container: AssignedContainer, signal: AbortSignal) {
    return this.#step('attachDisks', signal, () => {
      if (this.#known(container).utilityVm !== 'Connected')
        throw new RuntimeError('invalid-state', 'Disks can only be attached to a connected utility VM.');
      this.#world.change(container.id, () => ({ disksAttached: true }));
    });
  }

  mountLayers(container: AssignedContainer, signal: AbortSignal) {
    return this.#step('mountLayers', signal, () => {
      const { disksAttached } = this.#known(container);
      if (container.runtimeType === 'HyperV' && !disksAttached)
        throw new RuntimeError('invalid-state', 'The layers of a utility VM are mounted from its disks.');
      this.#world.change(container.id, () => ({ layersMounted: true }));
    });
  }

  startProcess(container: AssignedContainer, instanceId: string, signal: AbortSignal) {
    return this.#step('startProcess', signal, () => {
      const one = this.#known(container);
      if (one.runs.includes(instanceId)) return;
      if (!one.layersMounted)
        throw new RuntimeError('invalid-state', 'The layers must be mounted before the process starts.');
      if (one.utilityVm === 'Spent')
        throw new RuntimeError('invalid-state', 'A utility VM serves one run only.');
      simulatedUser(this.#machine.facts.os.family, container.spec.user);
      const behaviour = behaviourOf(this.#machine.facts.os.family, this.#commandOf({ container }));
      if (behaviour.kind === 'notFound')
        throw new RuntimeError(
          'program-not-found',
          `The image has no program "${behaviour.program.slice(0, 200)}".`,
          { suggestion: 'Create the container with a command that its image has.' },
        );
      const now = this.#clock.now().getTime();
      this.#world.change(one.id, () => ({ container, untrustedDisk: container.runtimeType === 'HyperV' }));
      this.#processes.begin(one.id, {
        instanceId,
        place: this.#world.freePlace(),
        startedAt: now,
        endsAt: behaviour.seconds === null ? null : now + behaviour.seconds * 1_000,
        endsWith: behaviour.exitCode,
        stubborn: behaviour.stubborn,
        endedAt: null,
        exitCode: null,
        exitReason: null,
      });
    });
  }

  async stopProcess(id: string, timeoutSeconds: number, signal: AbortSignal) {
    const run = this.#world.container(id)?.run;
    const stubborn = run?.endedAt === null && run.stubborn;
    if (stubborn && timeoutSeconds > 0) await sleep(this.#clock, timeoutSeconds * 1_000, signal);
    await this.#step('stopProcess', signal, () => {
      if (stubborn || timeoutSeconds === 0)
        this.#processes.end(id, FORCED_EXIT_CODE, 'The main process was killed.');
      else this.#processes.end(id, 0, 'The main process ended on request.');
    });
  }

  unmountLayers(id: string, signal: AbortSignal) {
    return this.#step('unmountLayers', signal, () =>
      this.#world.change(id, () => ({ layersMounted: false })),
    );
  }

  detachDisks(id: string, signal: AbortSignal) {
    return this.#step('detachDisks', signal, () => this.#world.change(id, () => ({ disksAttached: false })));
  }

  removeNetworkEndpoint(id: string, signal: AbortSignal) {
    return this.#step('removeNetworkEndpoint', signal, () =>
      this.#world.change(id, () => ({ networkEndpoint: false, networkPolicy: null })),
    );
  }

  /** Also ends the processes in the VM. */
  destroyUtilityVm(id: string, signal: AbortSignal) {
    return this.#step('destroyUtilityVm', signal, () => {
      if ((this.#world.container(id)?.utilityVm ?? 'Absent') === 'Absent') return;
      this.#processes.end(id, FORCED_EXIT_CODE, 'The utility VM was destroyed.');
      this.#world.change(id, () => ({ utilityVm: 'Absent', disksAttached: false, layersMounted: false }));
    });
  }

  removeWritableLayer(id: string, signal: AbortSignal) {
    return this.#step('removeWritableLayer', signal, () => this.#world.remove(id));
  }

  async listProcesses(id: string) {
    const one = this.#running(id);
    return containerProcesses(this.#machine.facts.os.family, one, this.#commandOf(one));
  }

  async listHostProcesses() {
    const family = this.#machine.facts.os.family;
    return hostProcesses(family, this.#world.containers(), (one) => this.#commandOf(one));
  }

  async isolation(id: string) {
    const one = this.#running(id);
    const lists = { inside: await this.listProcesses(id), host: await this.listHostProcesses() };
    return simulatedIsolation(this.#machine, one, lists, workerProcess(this.#machine.facts.os.family, one));
  }

  async verifyIsolation(id: string) {
    return simulatedVerification(this.#running(id), this.#clock.now());
  }

  async startExec(id: string, request: ExecRequest): Promise<SessionProcess> {
    const one = this.#running(id);
    return this.#beside.start(id, request, this.#around(one, request), 'beside');
  }

  /** A simulated main process runs as a program in this agent only while a client is attached to it. */
  async attach(id: string, { evenEnded }: Partial<AttachOptions> = {}): Promise<SessionProcess> {
    const ended = evenEnded === true ? this.#ended(id) : null;
    if (ended !== null) return ended;
    const one = this.#running(id);
    const { user, env, tty } = one.container.spec;
    const request = { command: this.#commandOf(one), user, env, tty };
    const main = this.#beside.start(id, request, this.#around(one, request), 'main');
    main.exited.then(
      (exitCode) => {
        if (!main.isReleased) this.#processes.exit(id, exitCode);
      },
      () => undefined,
    );
    return main;
  }

  async readLog(id: string, query: LogQuery) {
    this.#processes.settle(id);
    const one = this.#world.container(id);
    if (one === null) throw new RuntimeError('invalid-state', 'The container is not on this host.');
    return simulatedLog(this.#commandOf(one), one.run, query, this.#clock.now().getTime());
  }

  async importImage({ name, source, digest }: ImportImage, signal: AbortSignal): Promise<ImageFacts> {
    const { os, architecture } = this.#machine.facts;
    const from = 'path' in source ? source.path : source.reference;
    const image: ImageFacts = {
      name,
      version: '1',
      os: os.family,
      osBuild: os.build,
      architecture,
      source: from,
      digest: simulatedDigest(`${name} from ${from}`),
    };
    if (digest !== undefined && digest !== image.digest)
      throw new RuntimeError('step-failed', `The image has the digest ${image.digest}, not ${digest}.`);
    await this.#step('importImage', signal, () => this.#world.putImage(image));
    return image;
  }

  async removeImage(name: string): Promise<void> {
    const key = name.toLowerCase();
    const user = this.#world
      .containers()
      .find(({ container }) => container.spec.image.toLowerCase() === key)?.container;
    if (user) throw new RuntimeError('image-in-use', `Container ${user.name} uses image "${name}".`);
    this.#world.removeImage(name);
  }

  onExit(listener: (containerId: string) => void): void {
    this.#processes.onExit(listener);
  }

  close(): void {
    this.#processes.close();
    this.#world.close();
  }

  #commandOf({ container }: Pick<SimulatedContainer, 'container'>): readonly string[] {
    const { entrypoint, command } = container.spec;
    const words = [...(entrypoint ?? []), ...(command ?? [])];
    return words.length > 0 ? words : this.#machine.defaultCommand;
  }

  /** The output and the exit code of a run that has ended; null if it has not. */
  #ended(id: string): SessionProcess | null {
    this.#processes.settle(id);
    const one = this.#world.container(id);
    if (!one?.run?.endedAt) return null;
    const { run } = one;
    const { items } = simulatedLog(this.#commandOf(one), run, {}, run.endedAt ?? 0);
    return new SimulatedProcess(async (io) => {
      for (const { text, stream } of items) await io.write(`${text}\n`, stream);
      return run.exitCode ?? FORCED_EXIT_CODE;
    }, one.container.spec.tty === true);
  }

  #running(id: string): SimulatedContainer {
    this.#processes.settle(id);
    const one = this.#world.container(id);
    if (one?.run?.endedAt !== null) throw new RuntimeError('invalid-state', 'The container is not running.');
    return one;
  }

  #around(one: SimulatedContainer, { user, env }: Pick<ExecRequest, 'user' | 'env'>): Surroundings {
    const { os } = this.#machine.facts;
    return {
      family: os.family,
      hostName: hostNameOf(one.id),
      kernel: simulatedKernel(this.#machine, one.container.runtimeType === 'HyperV'),
      version: os.version,
      userName: simulatedUser(os.family, user),
      env: { ...one.container.spec.env, ...env },
      processes: () => containerProcesses(os.family, one, this.#commandOf(one)),
      clock: this.#clock,
    };
  }

  #known(container: AssignedContainer): SimulatedContainer {
    const found = this.#world.container(container.id);
    if (found === null)
      throw new RuntimeError(
        'invalid-state',
        `Container ${container.id} has no writable layer on this host.`,
      );
    return found;
  }

  #describe(one: SimulatedContainer): RuntimeContainer {
    const { run } = one;
    const process = run && {
      instanceId: run.instanceId,
      running: run.endedAt === null,
      startedAt: new Date(run.startedAt),
      endedAt: run.endedAt === null ? null : new Date(run.endedAt),
      exitCode: run.exitCode,
      exitReason: run.exitReason,
    };
    const { id, utilityVm, networkEndpoint, disksAttached, layersMounted, untrustedDisk } = one;
    const runtimeType = one.container.runtimeType;
    const worker = workerProcess(this.#machine.facts.os.family, one);
    return {
      id,
      runtimeType,
      writableLayer: true,
      utilityVm,
      networkEndpoint,
      disksAttached,
      layersMounted,
      untrustedDisk,
      process,
      workerProcess: worker,
    };
  }
}
