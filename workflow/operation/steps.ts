import type { ObservedContainer } from '../../core/contract/agent/commands.ts';
import { STEPS } from '../../core/contract/deployment.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import { type CommandRecord, listCommandsOf } from '../../store/commands.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { Table } from '../../store/table.ts';
import type { CurrentOperation } from './current-operation.ts';

/** Workflow steps in execution order. */
const ORDER: readonly string[] = Object.values(STEPS);

const AGENT_STEPS_SHOWN = 20;

const byOrder = (a: CommandRecord, b: CommandRecord): number =>
  ORDER.indexOf(a.step ?? '') - ORDER.indexOf(b.step ?? '');

/** The operation's commands to its host, in the order of the steps. */
export const readCommands = async (
  table: Table,
  { operation, container }: CurrentOperation,
): Promise<readonly CommandRecord[]> => {
  const hostId = container === undefined ? operation.view.hostId : container.view.hostId;
  const commands = await listCommandsOf(table, operation.tenant, hostId, operation.id);
  return [...commands].sort(byOrder);
};

/** The latest observation of the container in the results of these commands. */
export const lastObserved = (commands: readonly CommandRecord[]): ObservedContainer | null =>
  commands.reduce<ObservedContainer | null>((last, { result, command }) => {
    const observed = result?.observed ?? null;
    return observed !== null && observed.containerId === command.containerId ? observed : last;
  }, null);

const totalMs = (steps: readonly OperationStep[]): number | null =>
  steps.length === 0 ? null : steps.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);

/** Each command as a step, followed by the steps that the host reported for it. */
const commandSteps = (record: CommandRecord, at: string): readonly OperationStep[] => {
  const steps = record.result?.steps ?? [];
  const state = record.result === null || record.result.status === 'failed' ? 'Failed' : 'Succeeded';
  return [
    {
      name: record.step ?? record.command.arguments.verb,
      state,
      startedAt: steps[0]?.startedAt ?? at,
      durationMs: totalMs(steps),
    },
    ...steps.slice(0, AGENT_STEPS_SHOWN),
  ];
};

/** The steps of an ended operation: placement as recorded, then the commands. */
export const finalSteps = (
  operation: OperationRecord,
  commands: readonly CommandRecord[],
  at: string,
): readonly OperationStep[] => [
  ...operation.view.steps
    .filter(({ name }) => name === STEPS.place)
    .map((step): OperationStep => (step.state === 'Running' ? { ...step, state: 'Failed' } : step)),
  ...commands.flatMap((record) => commandSteps(record, at)),
];
