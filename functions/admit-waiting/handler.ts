import { isDeepStrictEqual } from 'node:util';
import { entityOf, parseHost } from '../../store/parse.ts';
import { isMisplaced, repairReadyKey } from '../../store/ready-hosts.ts';
import type { HostRecord } from '../../store/records.ts';
import { type AdmitDependencies, admitWaiting } from '../../workflow/waiting/admit-waiting.ts';
import { takeTurns } from '../../workflow/waiting/take-turns.ts';
import { type BatchAnswer, type ChangeRecord, eachRecord } from '../shared/stream-event.ts';

/** Time for one delivery of records, well within the function's own limit, in milliseconds. */
const BUDGET_MS = 20_000;
/** Most of it for one tenant: records of others may wait behind this delivery. The sweep does the rest. */
const TENANT_MS = 10_000;

const hostIn = (item: ChangeRecord['after']): HostRecord | undefined =>
  item !== undefined && entityOf(item) === 'host' ? parseHost(item) : undefined;

const takes = (item: ChangeRecord['after']): boolean => item?.gsi2pk !== undefined;

/** Whether a host has labels, or facts such as switches and runtime types, that it had not before. */
const offersOther = ({ view: was }: HostRecord, { view: is }: HostRecord): boolean =>
  Object.entries(is.labels).some(([key, value]) => was.labels[key] !== value) ||
  !isDeepStrictEqual(is.facts, was.facts);

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
    offersOther(was, is)
  );
};

/**
 * Hosts have changed: operations that wait get the room that there is, and hosts whose place in the index of ready hosts
 * no longer matches their free memory are repaired.
 *
 * Each tenant of a delivery has a share of the time. A list that is not finished is no failure: the next gain of room
 * or the sweep goes on with it. Otherwise one tenant's long list would hold up the stream for all.
 */
export const createAdmitWaitingHandler = (deps: AdmitDependencies) => {
  const { table, logger, now } = deps;

  const admit = async (tenant: string, until: number): Promise<void> => {
    const { placed, complete } = await admitWaiting(deps, tenant, { until, answerAgain: false });
    if (placed > 0) logger.info('placed waiting operations', { tenant, placed });
    if (!complete) logger.info('waiting operations left to the sweep', { tenant });
  };

  return async (event: unknown): Promise<BatchAnswer> => {
    const end = now().getTime() + BUDGET_MS;
    /** Tenants whose waiting operations are to be looked at → the first record that says so. */
    const gained = new Map<string, string>();
    const answer = await eachRecord(
      event,
      async ({ before, after, sequenceNumber }) => {
        const host = hostIn(after);
        if (host === undefined || after === undefined) return;
        if (isMisplaced(after, host)) await repairReadyKey(table, host);
        if (gainedRoom(before, after) && !gained.has(host.tenant)) gained.set(host.tenant, sequenceNumber);
      },
      (sequenceNumber, error) => logger.error('change of a host not processed', { sequenceNumber }, error),
    );
    const failures = [...answer.batchItemFailures];
    await takeTurns(gained, { ...deps, end }, async ([tenant, itemIdentifier], share) => {
      try {
        await admit(tenant, Math.min(share, now().getTime() + TENANT_MS));
      } catch (error) {
        logger.warn('waiting operations not looked at', { tenant }, error);
        failures.push({ itemIdentifier });
      }
    });
    return { batchItemFailures: failures };
  };
};
