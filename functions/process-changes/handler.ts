import { isEnded } from '../../core/domain/operation-state.ts';
import { createEventLog, type NewEvent } from '../../store/event-log.ts';
import type { Item } from '../../store/item.ts';
import { entityOf } from '../../store/item-format.ts';
import { type OperationRecord, parseOperation } from '../../store/operations.ts';
import type { Table } from '../../store/table.ts';
import { outcomeOf } from '../../workflow/conversion/run-outcome.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import type { StartWorkflow } from '../shared/steps/start-workflow.ts';
import { type BatchAnswer, type ChangeRecord, eachRecord } from '../shared/stream-event.ts';
import { eventOf } from './event-of.ts';
import type { Publish } from './publish.ts';

interface ProcessChangesDependencies {
  readonly table: Table;
  readonly publish: Publish;
  readonly startWorkflow: StartWorkflow;
  readonly tasks: Pick<Tasks, 'succeed'>;
  readonly logger: Logger;
  readonly now: () => Date;
}

const operationIn = (item: Item | undefined): OperationRecord | undefined =>
  item !== undefined && entityOf(item) === 'operation' ? parseOperation(item) : undefined;

const isPending = (operation: OperationRecord | undefined): boolean =>
  operation !== undefined && operation.view.state === 'Pending' && operation.after === null;

/**
 * An operation that has just become ready to run: it was accepted, with its container placed or not, or the previous
 * operation released the container. A direct one needs no execution.
 */
const becameReady = ({ before, after }: ChangeRecord): OperationRecord | undefined => {
  const operation = operationIn(after);
  if (operation === undefined || operation.direct === true) return undefined;
  const isNew = before === undefined && operation.view.state === 'Running' && operation.after === null;
  return isNew || (isPending(operation) && !isPending(operationIn(before))) ? operation : undefined;
};

/** An operation that has just ended while a workflow waits for its end. */
const endedAwaited = ({ before, after }: ChangeRecord) => {
  const operation = operationIn(after);
  if (operation === undefined || !isEnded(operation.view.state)) return undefined;
  const earlier = operationIn(before);
  const token = operation.notify ?? null;
  if (token === null || (earlier !== undefined && isEnded(earlier.view.state))) return undefined;
  return { token, outcome: outcomeOf(operation) };
};

/** All records of a batch are of one shard, in which the numbers only rise. */
const byPosition = (a: NewEvent, b: NewEvent): number =>
  a.sequence.length - b.sequence.length || (a.sequence < b.sequence ? -1 : 1);

/**
 * Handles changes of the table: starts the execution of an accepted operation and publishes an event. Both are idempotent:
 * the execution is named after the operation's id, and the log of events has each stream record once. On the bus an event
 * can appear twice, with the same id.
 */
export const createProcessChangesHandler = ({
  table,
  publish,
  startWorkflow,
  tasks,
  logger,
  now,
}: ProcessChangesDependencies) => {
  const log = createEventLog(table, now);

  const work = async (change: ChangeRecord): Promise<void> => {
    const operation = becameReady(change);
    if (operation !== undefined) await startWorkflow(operation);
    const awaited = endedAwaited(change);
    if (awaited !== undefined) await tasks.succeed(awaited.token, { ...awaited.outcome });
  };

  /** @returns the records whose events are not on the bus */
  const announce = async (tenant: string, events: readonly NewEvent[]): Promise<readonly string[]> => {
    try {
      const numbered = await log.append(tenant, events);
      const refused = await publish(numbered.map((event) => ({ tenant, event })));
      const ids = new Set(refused.map(({ event }) => event.id));
      return events.filter((_one, at) => ids.has(numbered[at]?.id ?? '')).map(({ sequence }) => sequence);
    } catch (error) {
      logger.error('could not publish events', { tenant }, error);
      return events.map(({ sequence }) => sequence);
    }
  };

  return async (batch: unknown): Promise<BatchAnswer> => {
    const found: (NewEvent & { readonly tenant: string })[] = [];
    const answer = await eachRecord(
      batch,
      async (change) => {
        await work(change);
        const event = eventOf(change);
        if (event !== undefined) found.push(event);
      },
      (sequenceNumber, error) => logger.error('could not process a change', { sequenceNumber }, error),
    );
    const byTenant = Map.groupBy(found.sort(byPosition), ({ tenant }) => tenant);
    const unpublished = await Promise.all([...byTenant].map(([tenant, events]) => announce(tenant, events)));
    return {
      batchItemFailures: [
        ...answer.batchItemFailures,
        ...unpublished.flat().map((itemIdentifier) => ({ itemIdentifier })),
      ],
    };
  };
};
