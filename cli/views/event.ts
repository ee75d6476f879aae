import type { Event } from '../../core/contract/event.ts';
import { colourOfState } from '../output/colours.ts';
import { instant } from '../output/format.ts';
import type { Column } from '../output/table.ts';

const change = ({ previousState, state }: Event): string => {
  if (state === null) return '';
  return previousState === null || previousState === state ? state : `${previousState} → ${state}`;
};

export const EVENT_COLUMNS: readonly Column<Event>[] = [
  { header: 'Time', value: ({ time }) => instant(time) },
  { header: 'Type', value: ({ type }) => type },
  { header: 'Resource', value: ({ resource }) => resource.name ?? resource.id, flexible: true },
  { header: 'State', value: change, colour: ({ state }) => colourOfState(state ?? '') },
  { header: 'Actor', value: ({ actor }) => actor, flexible: true },
];

/** One event as a line. With `--follow` the widths of the columns are not known in advance. */
export const eventLine = (event: Event): string => EVENT_COLUMNS.map(({ value }) => value(event)).join('  ');
