import { isDeepStrictEqual } from 'node:util';
import { type HostRecord, parseHost } from '../../store/hosts.ts';
import { entityOf } from '../../store/item-format.ts';
import { isMisplaced, repairReadyKey } from '../../store/ready-hosts.ts';
import { type AdmitDependencies, admitWaiting } from '../../workflow/waiting/admit-waiting.ts';
import { takeTurns } from '../../workflow/waiting/take-turns.ts';
import { type BatchAnswer, type ChangeRecord, eachRecord } from '../shared/stream-event.ts';

/** Time for one delivery of records in milliseconds, well within the function's time limit. */
const BUDGET_MS = 20_000;
/** Maximum share of one tenant: records of others may wait behind this delivery. The sweep does the rest. */
const TENANT_MS = 10_000;

const hostIn = (item: ChangeRecord['after']): HostRecord | undefined =>
  item !== undefined && entityOf(item) === 'host' ? parseHost(item) : undefined;

const takes = (item: ChangeRecord['after']): boolean => item?.gsi2pk !== undefined;

/** Whether a host has new labels, or new facts such as switches and runtime types. */
const offersOther = ({ view: was }: HostRecord, { view: is }: HostRecord): boolean =>
  Object.entries(is.labels).some(([key, value]) => was.labels[key] !== value) ||
  !isDeepStrictEqual(is.facts, was.facts);

/** Whether something may fit now that did not fit before: more free capacity, or a host that became ready. */
const gainedCapacity = (before: ChangeRecord['before'], after: ChangeRecord['after']): boolean => {
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
 * Handles changes of hosts: places waiting operations on freed capacity, and repairs hosts whose place in the index of
 * ready hosts no longer matches their free memory.
 *
 * Each tenant of a delivery gets a share of the time. An unfinished list is not a failure: the next change of capacity
 * or the sweep continues it. Otherwise one tenant's long list would block the stream for all.
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
    /** Tenants whose waiting operations must be tried → the first record that requires it. */
    const gained = new Map<string, string>();
    const answer = await eachRecord(
      event,
      async ({ before, after, sequenceNumber }) => {
        const host = hostIn(after);
        if (host === undefined || after === undefined) return;
        if (isMisplaced(after, host)) await repairReadyKey(table, host);
        if (gainedCapacity(before, after) && !gained.has(host.tenant))
          gained.set(host.tenant, sequenceNumber);
      },
      (sequenceNumber, error) =>
        logger.error('could not process a change of a host', { sequenceNumber }, error),
    );
    const failures = [...answer.batchItemFailures];
    await takeTurns(gained, { ...deps, end }, async ([tenant, itemIdentifier], share) => {
      try {
        await admit(tenant, Math.min(share, now().getTime() + TENANT_MS));
      } catch (error) {
        logger.warn('waiting operations could not be tried', { tenant }, error);
        failures.push({ itemIdentifier });
      }
    });
    return { batchItemFailures: failures };
  };
};
