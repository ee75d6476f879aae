import type { OsFamily } from '../../core/contract/host.ts';
import { memoryClass } from '../../core/domain/capacity.ts';
import type { Candidate, PlacementNeed } from '../../core/domain/placement.ts';
import { type IndexedHost, parseIndexedHost } from '../../store/hosts.ts';
import type { Item } from '../../store/item.ts';
import { readEach } from '../../store/item-format.ts';
import { indexes, keys } from '../../store/keys.ts';
import type { Table } from '../../store/table.ts';

/** Samples of hosts for a placement, at a cost that does not grow with the number of hosts. */

/** Hosts in one page of the index: about 12 KB, so that two pages cost at most 4 read units. */
const PAGE = 8;
/** Class of 4 TiB, more than a container may ask for. */
const TOP_CLASS = 23;

const candidateOf = (host: IndexedHost): Candidate => ({
  id: host.id,
  name: host.view.name,
  facts: host.view.facts,
  labels: host.view.labels,
  schedulable: host.view.schedulable,
  state: host.view.state,
  free: host.free,
});

/** A host that cannot be read gets no containers. */
const candidates = (table: Table, items: readonly Item[]): Candidate[] =>
  readEach(table, items, parseIndexedHost).map(candidateOf);

const hexadecimal = (random: () => number): string =>
  Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0');

/** Hosts that may have capacity: the emptiest ones, and some from a random point. See place-container.ts. */
export const sampleReady = async (
  table: Table,
  tenant: string,
  need: PlacementNeed,
  random: () => number,
): Promise<Candidate[]> => {
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
  const found = candidates(table, roomiest.items);
  if (roomiest.after === undefined) return found;
  const top = Math.min(TOP_CLASS, Number(memoryClass(Math.max(...found.map(({ free }) => free.memoryMB)))));
  const start = lowest + Math.floor(random() * (top - lowest + 1));
  const anywhere = await table.query({
    index: 'gsi2',
    key: indexes.readyHosts(tenant, os, room(start), hexadecimal(random)),
    sort: 'from',
    limit: PAGE,
  });
  const seen = new Set(found.map(({ id }) => id));
  return [...candidates(table, anywhere.items).filter(({ id }) => !seen.has(id)), ...found];
};

export const readHosts = async (table: Table, tenant: string, ids: readonly string[]): Promise<Candidate[]> =>
  candidates(table, await table.batchGet(ids.map((id) => keys.host(tenant, id))));

/** Some hosts that hold the image, with or without free capacity. */
export const sampleHolders = async (
  table: Table,
  tenant: string,
  need: PlacementNeed,
  random: () => number,
): Promise<Candidate[]> => {
  const { pk } = keys.image(tenant, need.image.name);
  const idsFrom = async (sk: string): Promise<readonly string[]> => {
    const page = await table.query({ key: { pk, sk }, sort: 'from', limit: PAGE });
    // The image's own item sorts after those of its hosts.
    const found = page.items.map((item) => item.sk?.S ?? '').filter((key) => key.startsWith('H#'));
    return found.map((key) => key.slice(2));
  };
  const ids = await idsFrom(`H#${hexadecimal(random)}`);
  return readHosts(table, tenant, ids.length > 0 ? ids : await idsFrom('H#'));
};

/** A few hosts with or without free capacity, to explain why none fits. */
export const sampleAny = async (table: Table, tenant: string, os: OsFamily): Promise<Candidate[]> => {
  const page = await table.query({
    index: 'gsi2',
    key: indexes.readyHosts(tenant, os),
    sort: 'any',
    descending: true,
    limit: PAGE,
  });
  return candidates(table, page.items);
};

export const holdersAmong = async (
  table: Table,
  tenant: string,
  need: PlacementNeed,
  hosts: readonly Candidate[],
): Promise<ReadonlySet<string>> => {
  const items = await table.batchGet(hosts.map(({ id }) => keys.imageOnHost(tenant, need.image.name, id)));
  return new Set(items.map((item) => (item.sk?.S ?? '').slice(2)));
};
