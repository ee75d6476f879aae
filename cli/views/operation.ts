import type { Operation, OperationStep, OperationSummary } from '../../core/contract/operation.ts';
import { colourOfState } from '../output/colours.ts';
import type { Field } from '../output/fields.ts';
import { duration, instant } from '../output/format.ts';
import { toCliSuggestion } from '../output/suggestions.ts';
import type { Column } from '../output/table.ts';

export const OPERATION_COLUMNS: readonly Column<OperationSummary>[] = [
  { header: 'Id', value: ({ id }) => id },
  { header: 'Kind', value: ({ kind }) => kind },
  { header: 'State', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  { header: 'Created', value: ({ createdAt }) => instant(createdAt), flexible: true },
];

const step = ({ name, state, durationMs }: OperationStep): string => {
  const how = state === 'Succeeded' ? '' : ` ${state}`;
  return `${name}${how}${durationMs === null ? '' : ` ${duration(durationMs)}`}`;
};

export const operationFields = (operation: Operation): readonly Field[] => [
  ['Id', operation.id],
  ['Kind', operation.kind],
  ['State', operation.state],
  ['Container', operation.containerId],
  ['Image', operation.imageName],
  ['Host', operation.hostId],
  ['Reason', operation.reason],
  ['Steps', operation.steps.length === 0 ? null : operation.steps.map(step).join('; ')],
  ['Error', operation.error?.detail],
  ['Suggestion', toCliSuggestion(operation.error?.suggestion)],
  ['RequestedBy', operation.requestedBy],
  ['CreatedAt', instant(operation.createdAt)],
  ['EndedAt', operation.endedAt === null ? null : instant(operation.endedAt)],
  ['Deadline', instant(operation.deadline)],
];
