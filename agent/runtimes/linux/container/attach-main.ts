import { SIGNALS } from '../../../../core/contract/session.ts';
import type { AttachOptions } from '../../runtime.ts';
import type { SessionProcess } from '../../session-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { containerPaths } from '../layout.ts';
import { killProcess, type ProcessIdentity } from '../proc.ts';
import type { GuestMain } from './guest-main.ts';
import { HelperAttachment } from './helper-attachment.ts';
import { LogAttachment } from './log-attachment.ts';
import type { PacedProcess } from './paced-process.ts';
import { BEGIN_OF_LOG, endOfLog } from './read-log.ts';
import type { ContainerRecords } from './records.ts';

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

const join = async (
  { layout, records }: AttachDeps,
  id: string,
  { join: main, ended }: AttachableMain,
  logs: boolean,
): Promise<PacedProcess> => {
  if ('guest' in main) return main.guest.attach(logs);
  return HelperAttachment.open(containerPaths(layout, id).attachSocket, {
    logs,
    exited: ended.then(async () => (await records.exit(id))?.exitCode ?? 128 + SIGNALS.KILL),
    signal: (signal) => killProcess(main.process, signal),
  });
};
