import { ProblemError } from '../../../core/client/index.ts';
import type { Bridge } from '../bridge.ts';
import { unsupported } from '../errors.ts';
import { toDockerId } from '../ids.ts';
import { checkFilters, type Filters, labelMatches, onlyValue, parseFilters } from '../translate/filters.ts';
import { ownLabels } from '../translate/labels.ts';
import { dockerState } from '../translate/state.ts';
import { parseUntil } from '../translate/time.ts';
import { type Handle, route } from './route.ts';

const REMOVABLE = ['created', 'exited', 'dead'];

/** @returns false if it has been started or removed since it was listed */
const removeStopped = async (bridge: Bridge, id: string, signal: AbortSignal): Promise<boolean> => {
  try {
    await bridge.remove(id, { force: false, signal });
    return true;
  } catch (error) {
    const isOther = error instanceof ProblemError && ['invalid-state', 'not-found'].includes(error.code);
    if (isOther) return false;
    throw error;
  }
};

/** Removes stopped containers, like `docker container prune`. */
const containers: Handle = async ({ bridge }, exchange) => {
  const filters = parseFilters(exchange.query.get('filters'));
  checkFilters(filters, ['until', 'label', 'label!']);
  const until = parseUntil(onlyValue(filters, 'until'), bridge.now);
  const removed: string[] = [];
  for (const { id, createdAt, labels, ...container } of await bridge.containers()) {
    const own = ownLabels(labels);
    const isOld = until === undefined || Date.parse(createdAt) < until;
    const isWanted =
      (filters.label ?? []).every((wanted) => labelMatches(own, wanted)) &&
      !(filters['label!'] ?? []).some((unwanted) => labelMatches(own, unwanted));
    const state = dockerState({ id, createdAt, labels, ...container });
    if (!REMOVABLE.includes(state) || !isOld || !isWanted) continue;
    if (await removeStopped(bridge, id, exchange.signal)) removed.push(toDockerId(id));
  }
  exchange.json(200, { ContainersDeleted: removed, SpaceReclaimed: 0 });
};

/** Nothing is unused: every image has a name, and networks are switches of hosts. */
const nothing =
  (answer: object, check: (filters: Filters) => void = () => undefined): Handle =>
  async (_, exchange) => {
    check(parseFilters(exchange.query.get('filters')));
    exchange.json(200, answer);
  };

const onlyDangling = ({ dangling = [] }: Filters): void => {
  if (dangling.some((value) => value === 'false' || value === '0'))
    throw unsupported('docker image prune --all');
};

export const PRUNE_ROUTES = [
  route('POST', '/containers/prune', containers),
  route('POST', '/images/prune', nothing({ ImagesDeleted: null, SpaceReclaimed: 0 }, onlyDangling)),
  route('POST', '/networks/prune', nothing({ NetworksDeleted: null })),
  route('POST', '/volumes/prune', nothing({ VolumesDeleted: null, SpaceReclaimed: 0 })),
];
