import type { ContainerState } from '../core/contract/container.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { caseInsensitiveKey } from '../core/domain/names.ts';
import { findContainerId, getContainer, type IndexedContainer, parseIndexedContainer } from './containers.ts';
import type { Cursors } from './cursor.ts';
import { indexes, listShards } from './keys.ts';
import { type ListPage, type ListPlan, type ListRequest, type ListSource, readPage } from './list.ts';
import type { Table } from './table.ts';

/** All filters must match. */
export interface ContainerFilters {
  readonly runtimeType?: RuntimeType;
  readonly state?: ContainerState;
  readonly hostId?: string;
  readonly name?: string;
  readonly image?: string;
  readonly labels: readonly (readonly [key: string, value: string])[];
}

type Selected = Exclude<keyof ContainerFilters, 'labels' | 'name'>;

/** The most selective index. */
const choose = (tenant: string, { hostId, image }: ContainerFilters): ListSource => {
  if (hostId !== undefined) return { index: 'gsi3', shards: [indexes.containersByHost(tenant, hostId).pk] };
  if (image !== undefined) return { index: 'gsi4', shards: [indexes.containersByImage(tenant, image).pk] };
  return { index: 'gsi1', shards: listShards.containersByName(tenant) };
};

const matching = (filters: ContainerFilters) => {
  const tests: ((record: IndexedContainer) => boolean)[] = [];
  const add = (filter: Selected, test: (record: IndexedContainer) => boolean) => {
    if (filters[filter] !== undefined) tests.push(test);
  };
  add('runtimeType', ({ view }) => view.runtimeType === filters.runtimeType);
  add('state', ({ view }) => view.state === filters.state);
  add('hostId', ({ view }) => view.hostId === filters.hostId);
  const image = caseInsensitiveKey(filters.image ?? '');
  add('image', ({ view }) => caseInsensitiveKey(view.spec.image) === image);
  for (const [key, value] of filters.labels)
    tests.push(({ view }) => Object.hasOwn(view.labels, key) && view.labels[key] === value);
  return tests.length === 0 ? undefined : (record: IndexedContainer) => tests.every((test) => test(record));
};

const scopeFilters = ({ labels, image, ...others }: ContainerFilters) => ({
  ...others,
  image: image && caseInsensitiveKey(image),
  labels: labels.map(([key, value]) => `${key}=${value}`).sort(),
});

/** At most one container has a name, so there are no pages. */
const byName = async (
  table: Table,
  tenant: string,
  name: string,
  filters: ContainerFilters,
): Promise<ListPage<IndexedContainer>> => {
  const id = await findContainerId(table, tenant, name);
  const record = id && (await getContainer(table, tenant, id));
  const matches = matching(filters);
  return { items: record && (matches?.(record) ?? true) ? [record] : [], nextCursor: null };
};

/** Containers by name. */
export const listContainers = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  filters: ContainerFilters,
  request: ListRequest,
): Promise<ListPage<IndexedContainer>> => {
  if (filters.name !== undefined) return byName(table, tenant, filters.name, filters);
  const matches = matching(filters);
  const plan: ListPlan<IndexedContainer> = {
    scope: { tenant, list: 'containers', filters: scopeFilters(filters) },
    source: choose(tenant, filters),
    parse: parseIndexedContainer,
    ...(matches && { matches }),
  };
  return readPage(table, cursors, plan, request);
};
