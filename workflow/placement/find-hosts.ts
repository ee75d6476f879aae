import {
  type Candidate,
  explainNoFit,
  lacksCapacity,
  orderByTwoChoices,
  type PlacementNeed,
  type SampledHost,
  unsuitable,
} from '../../core/domain/placement.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import {
  lookUpHosts,
  readHosts,
  type SamplingDependencies,
  sampleAny,
  sampleHolders,
  sampleReady,
} from './sample-hosts.ts';

/** Finds the hosts that can take a container, at a cost that does not grow with the number of hosts. */

export interface FindingDependencies extends SamplingDependencies {
  /** In [0, 1). */
  readonly random: () => number;
}

export type Fit =
  /** Hosts that fit and hold the image, in the order in which they are tried. */
  | { readonly kind: 'fit'; readonly hosts: readonly Candidate[] }
  | { readonly kind: 'no-fit'; readonly reason: string };

/** Hosts of a sample whose free capacity, link and image are read first, at 1.5 read units each. */
const LOOKED_UP = 4;

const imageMissing = (hosts: readonly Candidate[], image: string): string =>
  `waiting for a host with image ${image}: ${hosts
    .slice(0, 3)
    .map(({ name }) => name)
    .join(', ')} ${hosts.length === 1 ? 'does' : 'do'} not have it`;

const inOrder = (hosts: readonly Candidate[], need: PlacementNeed, random: () => number): Fit => {
  const ordered = orderByTwoChoices(hosts, need, random);
  return ordered.length > 0
    ? { kind: 'fit', hosts: ordered }
    : { kind: 'no-fit', reason: explainNoFit(hosts, need) };
};

const withoutRoom = (host: SampledHost): Candidate => ({
  ...host,
  free: { memoryMB: 0, cpus: 0, diskMB: 0 },
  connected: true,
});

/** Looks up the suitable hosts of a sample: a few, and the others only if none of those fits. */
const chooseAmong = async (
  deps: FindingDependencies,
  tenant: string,
  need: PlacementNeed,
  sample: readonly SampledHost[],
): Promise<Fit> => {
  const isSuitable = (host: SampledHost) => unsuitable(host, need) === null;
  const ids = sample.filter(isSuitable).map(({ id }) => id);
  const seen: Candidate[] = [];
  for (const group of [ids.slice(0, LOOKED_UP), ids.slice(LOOKED_UP)]) {
    if (group.length === 0) continue;
    const { candidates, holders } = await lookUpHosts(deps, tenant, need.image.name, group);
    const fit = inOrder(
      candidates.filter(({ id }) => holders.has(id)),
      need,
      deps.random,
    );
    if (fit.kind === 'fit') return fit;
    seen.push(...candidates);
  }
  const roomy = orderByTwoChoices(seen, need, deps.random);
  const reason =
    roomy.length > 0
      ? imageMissing(roomy, need.image.name)
      : explainNoFit([...seen, ...sample.filter((host) => !isSuitable(host)).map(withoutRoom)], need);
  return { kind: 'no-fit', reason };
};

const explain = async (
  deps: FindingDependencies,
  tenant: string,
  need: PlacementNeed,
  {
    sample,
    holders,
    reason,
  }: {
    readonly sample: readonly SampledHost[];
    readonly holders: readonly Candidate[];
    readonly reason: string;
  },
): Promise<string> => {
  const lacking = holders.filter(
    (host) => unsuitable(host, need) === null && lacksCapacity(host, need) !== null,
  );
  if (lacking.length > 0) return explainNoFit(lacking, need);
  return sample.length > 0 ? reason : explainNoFit(await sampleAny(deps, tenant, need.image.os), need);
};

/**
 * The hosts for a container. If none of a sample of the ready hosts fits and holds the image, some hosts that hold it are
 * read. A host whose agent is not connected is not chosen for a new container. The container's own host always is: its
 * files are there, and it gets the command when it reconnects.
 */
export const findHosts = async (
  deps: FindingDependencies,
  { container, need }: { readonly container: ContainerRecord; readonly need: PlacementNeed },
): Promise<Fit> => {
  const { table, random } = deps;
  const { tenant } = container;
  const { hostId } = container.view;
  if (hostId !== null) {
    const own = (await readHosts(deps, tenant, [hostId])).map((host) => ({ ...host, connected: true }));
    return inOrder(own, need, random);
  }
  if (need.placement.hostId !== undefined)
    return chooseAmong(deps, tenant, need, await readHosts(deps, tenant, [need.placement.hostId]));
  const sample = await sampleReady(table, tenant, need, random);
  const first = await chooseAmong(deps, tenant, need, sample);
  if (first.kind === 'fit') return first;
  const holders = await sampleHolders(deps, tenant, need, random);
  const second = inOrder(holders, need, random);
  if (second.kind === 'fit') return second;
  return {
    kind: 'no-fit',
    reason: await explain(deps, tenant, need, { sample, holders, reason: first.reason }),
  };
};
