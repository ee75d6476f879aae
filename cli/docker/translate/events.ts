import type { Event } from '../../../core/contract/event.ts';
import { toDockerId } from '../ids.ts';
import type { Filters } from './filters.ts';
import { FAILED_TO_START } from './state.ts';

const BY_STATE: Readonly<Record<string, string>> = { Running: 'start', Off: 'die', Failed: 'die' };

const actionOf = ({ type, state, previousState }: Event): string | undefined => {
  if (type === 'Container Created') return 'create';
  if (type === 'Container Removed') return 'destroy';
  if (type !== 'Container State Changed' || state === previousState) return undefined;
  return BY_STATE[state ?? ''];
};

interface DockerEvent {
  readonly Type: 'container';
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: 'local';
  readonly time: number;
  readonly timeNano: number;
  /** As in the first versions of the API, which clients still read. */
  readonly status: string;
  readonly id: string;
  readonly from: string;
}

/** The Docker event for an event; undefined if Docker has no such event. */
export const toDockerEvent = (event: Event): DockerEvent | undefined => {
  const action = actionOf(event);
  if (action === undefined || event.resource.kind !== 'container') return undefined;
  const at = Date.parse(event.time);
  const id = toDockerId(event.resource.id);
  const { image = '', exitCode } = event;
  const Attributes = {
    name: event.resource.name ?? id,
    ...(image === '' ? {} : { image }),
    ...(action === 'die' ? { exitCode: String(exitCode ?? FAILED_TO_START) } : {}),
  };
  return {
    Type: 'container',
    Action: action,
    Actor: { ID: id, Attributes },
    scope: 'local',
    time: Math.floor(at / 1000),
    timeNano: at * 1e6,
    ...{ status: action, id, from: image },
  };
};

/** Labels are not in events, so a filter by label is refused. */
const MATCHERS: Readonly<Record<string, (event: DockerEvent, value: string) => boolean>> = {
  type: (event, value) => event.Type === value,
  event: (event, value) => event.Action === value,
  container: (event, value) => event.Actor.Attributes.name === value || event.Actor.ID.startsWith(value),
  image: (event, value) =>
    [value, `${value}:latest`].includes(event.Actor.Attributes.image ?? '') ||
    `${event.Actor.Attributes.image}:latest` === value,
  scope: (event, value) => event.scope === value,
};
export const EVENT_FILTERS: readonly string[] = Object.keys(MATCHERS);

export const eventMatches = (event: DockerEvent, filters: Filters): boolean =>
  Object.entries(filters).every(([name, values]) =>
    values.some((value) => MATCHERS[name]?.(event, value) === true),
  );
