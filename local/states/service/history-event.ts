import type { HistoryEvent } from '../interpreter/model.ts';
import type { JsonObject } from '../json.ts';

/** Fields that `includeExecutionData: false` omits. */
const DATA = ['input', 'inputDetails', 'output', 'outputDetails'];

const detailsField = (type: string): string => {
  const kind = type.endsWith('StateEntered')
    ? 'stateEntered'
    : type.endsWith('StateExited')
      ? 'stateExited'
      : type.charAt(0).toLowerCase() + type.slice(1);
  return `${kind}EventDetails`;
};

/** An event in the format of GetExecutionHistory. */
export const historyEvent = (event: HistoryEvent, withData: boolean): JsonObject => {
  const shown: JsonObject = {
    id: event.id,
    previousEventId: event.previousEventId,
    timestamp: event.timestamp / 1000,
    type: event.type,
  };
  if (event.details) {
    const entries = Object.entries(event.details).filter(([key]) => withData || !DATA.includes(key));
    shown[detailsField(event.type)] = Object.fromEntries(entries);
  }
  return shown;
};
