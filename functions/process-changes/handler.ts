import { TooBusyError } from '../../core/domain/errors.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { eventOf, putEvent } from '../../store/event-log.ts';
import type { Item } from '../../store/item.ts';
import { entityOf, parseOperation } from '../../store/parse.ts';
import type { OperationRecord } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import { outcomeOf } from '../../workflow/conversion/run-outcome.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import type { StartWorkflow } from '../shared/steps/start-workflow.ts';
import { type BatchAnswer, type ChangeRecord, eachRecord } from '../shared/stream-event.ts';
import type { Publish } from './publish.ts';

export interface ProcessChangesDependencies {
  readonly table: Table;
  readonly publish: Publish;
  readonly startWorkflow: StartWorkflow;
  readonly tasks: Pick<Tasks, 'succeed'>;
  readonly logger: Logger;
}

const operationIn = (item: Item | undefined): OperationRecord | undefined =>
  item !== undefined && entityOf(item) === 'operation' ? parseOperation(item) : undefined;

const isReady = (operation: OperationRecord | undefined): boolean =>
  operation !== undefined && operation.view.state === 'Pending' && operation.after === null;

/** An operation that has just become ready to run: accepted, or handed the container by the one before it. */
const becameReady = ({ before, after }: ChangeRecord): OperationRecord | undefined => {
  const operation = operationIn(after);
  return operation !== undefined && isReady(operation) && !isReady(operationIn(before))
    ? operation
    : undefined;
};

/** An operation that has just ended, and whose end a workflow waits for. */
const endedAwaited = ({ before, after }: ChangeRecord) => {
  const operation = operationIn(after);
  if (operation === undefined || !isEnded(operation.view.state)) return undefined;
  const earlier = operationIn(before);
  const token = operation.notify ?? null;
  if (token === null || (earlier !== undefined && isEnded(earlier.view.state))) return undefined;
  return { token, outcome: outcomeOf(operation) };
};

/**
 * What follows from a change of the table: the execution of an operation that was accepted, and the event that tells
 * the outside. Each can be done again: an execution has its operation's id as its name, an event the record's place in
 * the stream as its key. On the bus an event may come twice, with the same id.
 */
export const createProcessChangesHandler = ({
  table,
  publish,
  startWorkflow,
  tasks,
  logger,
}: ProcessChangesDependencies) => {
  const work = async (change: ChangeRecord): Promise<void> => {
    const operation = becameReady(change);
    if (operation !== undefined) await startWorkflow(operation);
    const awaited = endedAwaited(change);
    if (awaited !== undefined) await tasks.succeed(awaited.token, { ...awaited.outcome });
    const record = eventOf(change);
    if (record === undefined) return;
    await putEvent(table, record);
    const refused = await publish([record]);
    if (refused.length > 0) throw new TooBusyError('The bus did not take the event.');
  };
  return (event: unknown): Promise<BatchAnswer> =>
    eachRecord(event, work, (sequenceNumber, error) =>
      logger.error('change not processed', { sequenceNumber }, error),
    );
};
