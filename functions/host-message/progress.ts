import type * as z from 'zod/mini';
import type { ProgressSchema } from '../../core/contract/agent/messages.ts';
import { STEPS } from '../../core/contract/deployment.ts';
import type { OperationStep } from '../../core/contract/operation.ts';
import { findCommand } from '../../store/commands.ts';
import type { Connection } from '../../store/host-links.ts';
import { storeSteps } from '../../store/operations.ts';
import { ConditionFailed } from '../../store/table.ts';
import { isCurrent, readCurrentOperation } from '../../workflow/operation/current-operation.ts';
import type { HostMessageDependencies } from './dependencies.ts';

const SHOWN = 20;

/** Stores the steps of a running command for callers who wait. Losing them is harmless, so nothing is retried. */
export const takeProgress = async (
  { table, now }: HostMessageDependencies,
  { tenant, hostId }: Connection,
  { commandId, steps }: z.infer<typeof ProgressSchema>,
): Promise<void> => {
  // Looked up under this host: a host can report only on its own commands.
  const record = await findCommand(table, tenant, hostId, commandId);
  if (record === undefined || record.state !== 'pending' || record.operationId === null) return;
  const { containerId, epoch } = record.command;
  const input = { tenant, operationId: record.operationId, containerId, epoch };
  const found = await readCurrentOperation(table, input);
  if (found === undefined || !isCurrent(found, input)) return;
  const at = now().toISOString();
  const { operation } = found;
  const name = record.step ?? record.command.arguments.verb;
  const running: OperationStep = {
    name,
    state: 'Running',
    startedAt: operation.view.steps.find((step) => step.name === name)?.startedAt ?? at,
    durationMs: null,
  };
  const placed = operation.view.steps.filter((step) => step.name === STEPS.place);
  const shown = [...placed, running, ...steps.slice(-SHOWN)];
  try {
    await storeSteps(table, operation, shown);
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
  }
};
