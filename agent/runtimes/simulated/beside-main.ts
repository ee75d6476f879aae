import type { IsolationReport, Process, WorkerProcess } from '../../../core/contract/compute-process.ts';
import { RuntimeError } from '../../errors.ts';
import type { ExecRequest } from '../session-process.ts';
import type { SimulatedMachine } from './kinds.ts';
import { programOf, type Surroundings } from './programs.ts';
import { SimulatedProcess } from './simulated-process.ts';
import type { SimulatedContainer } from './world.ts';

/** The sessions in simulated containers. All of them end with the container's main process. */
export class BesideMain {
  readonly #processes = new Map<string, Map<SimulatedProcess, 'main' | 'beside'>>();

  /** @throws {RuntimeError} if the simulated image has no such program */
  start(id: string, request: ExecRequest, around: Surroundings, role: 'main' | 'beside'): SimulatedProcess {
    const program = programOf(request.command, around);
    if (program === null)
      throw new RuntimeError(
        'program-not-found',
        `The image has no program "${request.command[0]?.slice(0, 200)}".`,
      );
    const process = new SimulatedProcess(program, request.tty === true);
    const all = this.#processes.get(id) ?? new Map();
    this.#processes.set(id, all.set(process, role));
    const forget = () => {
      all.delete(process);
      if (all.size === 0 && this.#processes.get(id) === all) this.#processes.delete(id);
    };
    process.exited.then(forget, forget);
    return process;
  }

  /** Must be called when the container's main process has ended. */
  mainEnded(id: string, exitCode: number): void {
    for (const [process, role] of this.#processes.get(id) ?? [])
      if (role === 'main') process.finish(exitCode);
      else process.abandon();
  }
}

/** The kernel release that a program in the container sees. */
export const simulatedKernel = ({ facts }: SimulatedMachine, isolated: boolean): string =>
  isolated ? `${facts.kernel} of a utility VM` : facts.kernel;

/** An isolation report from the simulated machine's process tables. */
export const simulatedIsolation = (
  machine: SimulatedMachine,
  one: SimulatedContainer,
  lists: { readonly inside: readonly Process[]; readonly host: readonly Process[] },
  workerProcess: WorkerProcess | null,
): IsolationReport => {
  const { runtimeType } = one.container;
  const onHost = new Set(lists.host.map(({ pid }) => pid));
  return {
    runtimeType,
    kernel: {
      host: machine.facts.kernel,
      container: simulatedKernel(machine, runtimeType === 'HyperV'),
    },
    sharedKernel: runtimeType === 'Default',
    containerProcesses: [...lists.inside],
    visibleOnHost: lists.inside.filter(({ hostPid }) => hostPid !== undefined && onHost.has(hostPid)),
    workerProcess,
    network: one.networkPolicy && {
      policy: one.networkPolicy,
      ceiling: [...(machine.facts.networkCeiling ?? [])],
      // Simulated programs send no packets.
      dropped: { packets: 0 },
    },
    simulated: true,
  };
};
