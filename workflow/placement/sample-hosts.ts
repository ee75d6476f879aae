import type { OsFamily } from '../../core/contract/host.ts';
import { memoryClass } from '../../core/domain/capacity.ts';
import type { Candidate, PlacementNeed, SampledHost } from '../../core/domain/placement.ts';
import { isDisconnected, parseHostLink } from '../../store/host-links.ts';
import { type IndexedHost, parseHost, parseIndexedHost } from '../../store/hosts.ts';
import type { Item } from '../../store/item.ts';
import { entityOf, readEach } from '../../store/item-format.ts';
import { indexes, keys, parsePartitionKey } from '../../store/keys.ts';
import type { Table } from '../../store/table.ts';

export interface SamplingDependencies {
  readonly table: Table;
  readonly now: () => Date;
}

/** Samples of hosts for a placement, at a cost that does not grow with the number of hosts. */

/** Hosts in one page of the index: about 8 KB, so that two pages cost about 2 read units. */
const PAGE = 8;
/** Class of 4 TiB, more than a container may ask for. */
const TOP_CLASS = 23;

const sampled = (host: IndexedHost): SampledHost => ({
  id: host.id,
  name: host.view.name,
  facts: host.view.facts,
  labels: host.view.labels,
  schedulable: host.view.schedulable,
  state: host.view.state,
});

/** Hosts and their links, in any order. A host that cannot be read gets no containers. */
const candidates = ({ table, now }: SamplingDependencies, items: readonly Item[]): Candidate[] => {
  const of = (entity: string) => items.filter((item) => entityOf(item) === entity);
  const disconnected = new Set(
    readEach(table, of('hostLink'), parseHostLink)
      .filter((link) => isDisconnected(link, now()))
      .map(({ hostId }) => hostId),
  );
  return readEach(table, of('host'), parseHost).map((host) => ({
    ...sampled(host),
    free: host.free,
    connected: !disconnected.has(host.id),
  }));
};

const hexadecimal = (random: () => number): string =>
  Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0');

const shuffled = <T>(all: readonly T[], random: () => number): T[] => {
  const left = [...all];
  return all.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
};

/** Alternates between two lists. */
const alternate = <T>(first: readonly T[], second: readonly T[]): T[] =>
  Array.from({ length: Math.max(first.length, second.length) }).flatMap((_, at) => [
    ...first.slice(at, at + 1),
    ...second.slice(at, at + 1),
  ]);

/**
 * Hosts that may have capacity, in random order: a page of those with the most free memory, and a page from a random
 * point among those with enough. The two alternate.
 */
export const sampleReady = async (
  table: Table,
  tenant: string,
  need: PlacementNeed,
  random: () => number,
): Promise<SampledHost[]> => {
  const os: OsFamily = need.image.os;
  const lowest = need.reserve ? Number(memoryClass(need.resources.memoryMB)) : 0;
  const room = (value: number) => String(value).padStart(2, '0');
  const roomiest = await table.query({
    index: 'gsi2',
    key: { ...indexes.readyHosts(tenant, os), sk: room(lowest) },
    sort: 'from',
    descending: true,
    limit: PAGE,
  });
  const read = (items: readonly Item[]) => readEach(table, items, parseIndexedHost).map(sampled);
  const found = read(roomiest.items);
  if (roomiest.after === undefined) return shuffled(found, random);
  const top = Math.min(TOP_CLASS, Number(roomiest.items[0]?.gsi2sk?.S?.slice(0, 2) ?? 0));
  const start = lowest + Math.floor(random() * (top - lowest + 1));
  const anywhere = await table.query({
    index: 'gsi2',
    key: indexes.readyHosts(tenant, os, room(start), hexadecimal(random)),
    sort: 'from',
    limit: PAGE,
  });
  const seen = new Set(found.map(({ id }) => id));
  const others = read(anywhere.items).filter(({ id }) => !seen.has(id));
  return alternate(shuffled(found, random), shuffled(others, random));
};

/** Hosts with their free capacity, in any order. */
export const readHosts = async (
  deps: SamplingDependencies,
  tenant: string,
  ids: readonly string[],
): Promise<Candidate[]> =>
  candidates(
    deps,
    await deps.table.batchGet(ids.flatMap((id) => [keys.host(tenant, id), keys.hostLink(tenant, id)])),
  );

/** Some hosts that hold the image, with or without free capacity. */
export const sampleHolders = async (
  deps: SamplingDependencies,
  tenant: string,
  need: PlacementNeed,
  random: () => number,
): Promise<Candidate[]> => {
  const { pk } = keys.image(tenant, need.image.name);
  const idsFrom = async (sk: string): Promise<readonly string[]> => {
    const page = await deps.table.query({ key: { pk, sk }, sort: 'from', limit: PAGE });
    // The image's own item sorts after those of its hosts.
    const found = page.items.map((item) => item.sk?.S ?? '').filter((key) => key.startsWith('H#'));
    return found.map((key) => key.slice(2));
  };
  const ids = await idsFrom(`H#${hexadecimal(random)}`);
  return readHosts(deps, tenant, ids.length > 0 ? ids : await idsFrom('H#'));
};

/** A few hosts with or without free capacity, to explain why none fits. */
export const sampleAny = async (
  deps: SamplingDependencies,
  tenant: string,
  os: OsFamily,
): Promise<Candidate[]> => {
  const page = await deps.table.query({
    index: 'gsi2',
    key: indexes.readyHosts(tenant, os),
    sort: 'any',
    descending: true,
    limit: PAGE,
  });
  return readHosts(
    deps,
    tenant,
    page.items.map(({ pk }) => parsePartitionKey(pk?.S ?? '').id),
  );
};

/** Some hosts with their free capacity, and the ids of those that hold the image. */
export const lookUpHosts = async (
  deps: SamplingDependencies,
  tenant: string,
  image: string,
  ids: readonly string[],
): Promise<{ readonly candidates: readonly Candidate[]; readonly holders: ReadonlySet<string> }> => {
  const items = await deps.table.batchGet(
    ids.flatMap((id) => [
      keys.host(tenant, id),
      keys.hostLink(tenant, id),
      keys.imageOnHost(tenant, image, id),
    ]),
  );
  const holding = items.filter((item) => entityOf(item) === 'imageOnHost');
  return {
    candidates: candidates(deps, items),
    holders: new Set(holding.map((item) => (item.sk?.S ?? '').slice(2))),
  };
};
