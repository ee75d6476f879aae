import { TooBusyError } from '../../core/domain/errors.ts';
import { entityOf, parseHost } from '../../store/parse.ts';
import type { HostRecord } from '../../store/records.ts';
import { isMisplaced, repairRoomKey } from '../../store/waiting.ts';
import { type AdmitDependencies, admitWaiting } from '../shared/admit.ts';
import { type BatchAnswer, type ChangeRecord, eachRecord } from '../shared/stream-event.ts';

/** Time for one delivery of records, well within the function's own limit, in milliseconds. */
const BUDGET_MS = 20_000;

const hostIn = (item: ChangeRecord['after']): HostRecord | undefined =>
  item !== undefined && entityOf(item) === 'host' ? parseHost(item) : undefined;

const takes = (item: ChangeRecord['after']): boolean => item?.gsi2pk !== undefined;

/** Whether something may fit now that didn't before: more room, or a host that has begun to take containers. */
const gainedRoom = (before: ChangeRecord['before'], after: ChangeRecord['after']): boolean => {
  if (!takes(after)) return false;
  const [was, is] = [hostIn(before), hostIn(after)];
  if (is === undefined) return false;
  if (was === undefined || !takes(before)) return true;
  return (
    is.free.memoryMB > was.free.memoryMB ||
    is.free.cpus > was.free.cpus ||
    is.free.diskMB > was.free.diskMB ||
    // Its own: a switch, a label, a runtime type that somebody waits for.
    is.revision !== was.revision
  );
};

/**
 * Hosts have changed: whoever waits for room is given what there is, and hosts whose place in the index of ready hosts
 * has fallen behind their free memory are put right.
 */
export const createAdmitWaitingHandler = (deps: AdmitDependencies) => {
  const { table, logger, now } = deps;
  return async (event: unknown): Promise<BatchAnswer> => {
    const until = now().getTime() + BUDGET_MS;
    /** Tenants whose waiters are to be looked at → the record that says so first. */
    const gained = new Map<string, string>();
    const answer = await eachRecord(
      event,
      async ({ before, after, sequenceNumber }) => {
        const host = hostIn(after);
        if (host === undefined || after === undefined) return;
        if (isMisplaced(after, host)) await repairRoomKey(table, host);
        if (gainedRoom(before, after) && !gained.has(host.tenant)) gained.set(host.tenant, sequenceNumber);
      },
      (sequenceNumber, error) => logger.error('change of a host not processed', { sequenceNumber }, error),
    );
    const failures = [...answer.batchItemFailures];
    for (const [tenant, itemIdentifier] of gained) {
      try {
        const { placed, complete } = await admitWaiting(deps, tenant, { until, answerAgain: false });
        if (placed > 0) logger.info('placed waiting operations', { tenant, placed });
        if (!complete) throw new TooBusyError('More operations wait than fit into one call.');
      } catch (error) {
        logger.warn('waiting operations not all looked at', { tenant }, error);
        failures.push({ itemIdentifier });
      }
    }
    return { batchItemFailures: failures };
  };
};
