import { SIGNALS } from '../../../../core/contract/session.ts';
import { RuntimeError } from '../../../errors.ts';
import type { AttachOptions } from '../../runtime.ts';
import type { SessionProcess } from '../../session-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { containerPaths } from '../layout.ts';
import { killProcess, type ProcessIdentity } from '../proc.ts';
import { EndedProcess } from './ended-process.ts';
import type { GuestMain } from './guest-main.ts';
import { HelperAttachment } from './helper-attachment.ts';
import { LogAttachment } from './log-attachment.ts';
import type { PacedProcess } from './paced-process.ts';
import { BEGIN_OF_LOG, endOfLog } from './read-log.ts';
import type { ContainerRecords } from './records.ts';

/** Exit code of a process whose exit was not observed. */
const KILLED = 128 + SIGNALS.KILL;

/** A running main process, in a utility VM or on this host. */
export interface AttachableMain {
  readonly join: { readonly guest: GuestMain } | { readonly process: ProcessIdentity };
  /** Resolves once the exit is recorded. */
  readonly ended: Promise<void>;
}

interface AttachDeps extends Pick<LinuxDeps, 'layout' | 'clock'> {
  readonly records: ContainerRecords;
}

/**
 * Attaches to a main process. With a terminal, a client receives live output, and loses output that it does not read in time.
 * Without a terminal, it receives all output, from the log.
 */
export const attachMain = async (
  deps: AttachDeps,
  id: string,
  main: AttachableMain,
  { logs, terminal, cursor, paced }: AttachOptions,
): Promise<SessionProcess> => {
  const { log } = containerPaths(deps.layout, id);
  if (terminal) return join(deps, id, main, logs);
  const begin = logs ? ((await deps.records.run(id))?.logStart ?? BEGIN_OF_LOG) : await endOfLog(log);
  const joined = await join(deps, id, main, false);
  return new LogAttachment(joined, {
    path: log,
    cursor: cursor ?? begin,
    logged: main.ended,
    clock: deps.clock,
    paced: paced === true,
  });
};

/**
 * The output and the exit code of the newest run, which has ended.
 * @throws {RuntimeError} `invalid-state` if it has not
 */
export const attachEnded = async (
  { layout, records, clock }: AttachDeps,
  id: string,
  { cursor }: AttachOptions,
): Promise<SessionProcess> => {
  const [run, exit] = await Promise.all([records.run(id), records.exit(id)]);
  if (run === null || exit === null) throw new RuntimeError('invalid-state', 'The container is not running');
  return new LogAttachment(new EndedProcess(exit.exitCode ?? KILLED), {
    path: containerPaths(layout, id).log,
    cursor: cursor ?? run.logStart ?? BEGIN_OF_LOG,
    logged: Promise.resolve(),
    clock,
    paced: false,
  });
};

const join = async (
  { layout, records }: AttachDeps,
  id: string,
  { join: main, ended }: AttachableMain,
  logs: boolean,
): Promise<PacedProcess> => {
  if ('guest' in main) return main.guest.attach(logs);
  return HelperAttachment.open(containerPaths(layout, id).attachSocket, {
    logs,
    exited: ended.then(async () => (await records.exit(id))?.exitCode ?? KILLED),
    signal: (signal) => killProcess(main.process, signal),
  });
};
