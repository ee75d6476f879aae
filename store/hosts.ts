import * as z from 'zod/mini';
import {
  ArchitectureSchema,
  type Capacity,
  type HostFacts,
  type HostState,
  HostStateSchema,
  OsFamilySchema,
} from '../core/contract/host.ts';
import { type Labels, RuntimeTypeSchema } from '../core/contract/primitives.ts';
import { memoryClass, subtract } from '../core/domain/capacity.ts';
import { InvalidTransitionError } from '../core/domain/errors.ts';
import { canTransitionHost } from '../core/domain/host-state.ts';
import type { Cursors } from './cursor.ts';
import { type HostLinkRecord, newLinkItem, parseHostLink } from './host-links.ts';
import { type Item, toAttribute, toItem } from './item.ts';
import { createItem, type Owned, readItem, TextsSchema } from './item-format.ts';
import { hostShard, indexAttributes, indexes, keys } from './keys.ts';
import { type ListPage, type ListRequest, readPage } from './list.ts';
import { lookUp } from './look-up.ts';
import { keyItem, type Table, type Write } from './table.ts';

export interface HostView {
  readonly name: string;
  readonly facts: HostFacts;
  readonly labels: Labels;
  readonly schedulable: boolean;
  readonly state: HostState;
  readonly agentVersion: string;
}

/** A host as an index has it: without its free capacity. The table may have a newer revision. */
export interface IndexedHost {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly view: HostView;
}

export interface HostRecord extends IndexedHost {
  /** Capacity minus all reservations on the host; conditional writes keep it from going below 0. */
  readonly free: Capacity;
  /** Ed25519 public key: 32 bytes in base64url. */
  readonly publicKey: string;
  readonly actor: string;
}

const CapacitySchema: z.ZodMiniType<Capacity> = z.object({
  memoryMB: z.number(),
  cpus: z.number(),
  diskMB: z.number(),
});

const FactsSchema: z.ZodMiniType<HostFacts> = z.object({
  os: z.object({ family: OsFamilySchema, sku: z.string(), version: z.string(), build: z.number() }),
  architecture: ArchitectureSchema,
  kernel: z.string(),
  hypervisor: z.enum(['hyperv', 'kvm', 'tcg', 'none', 'simulated']),
  capabilities: z.object({
    runtimeTypes: z.array(RuntimeTypeSchema),
    runtimeConversion: z.enum(['inPlace', 'recreate', 'none']),
  }),
  switches: z.array(z.string()),
  capacity: CapacitySchema,
  utilityVmOverheadMB: z.number(),
  networkCeiling: z.optional(z.array(z.string())),
});

const INDEXED = {
  revision: z.number(),
  view: z.object({
    name: z.string(),
    facts: FactsSchema,
    labels: TextsSchema,
    schedulable: z.boolean(),
    state: HostStateSchema,
    agentVersion: z.string(),
  }),
};
const IndexedSchema: z.ZodMiniType<Omit<IndexedHost, keyof Owned>> = z.object(INDEXED);

const HostSchema: z.ZodMiniType<Omit<HostRecord, keyof Owned>> = z.object({
  ...INDEXED,
  free: CapacitySchema,
  publicKey: z.string(),
  actor: z.string(),
});

/** @throws UnreadableItemError */
export const parseHost = (item: Item): HostRecord => readItem('host', HostSchema, item);

/** A host from an index. @throws UnreadableItemError */
export const parseIndexedHost = (item: Item): IndexedHost => readItem('host', IndexedSchema, item);

/**
 * The attributes of a host that the sweeper reads. The others can be large, and the sweeper reads the hosts of all
 * tenants.
 */
export interface SweptHost {
  readonly tenant: string;
  readonly id: string;
  readonly revision: number;
  readonly state: HostState;
}

export const SWEPT_HOST = ['pk', 'sk', 'v', 'entity', 'revision', 'view.state'] as const;
const SweptSchema = z.object({ revision: z.number(), view: z.object({ state: HostStateSchema }) });

/** @throws UnreadableItemError */
export const parseSweptHost = (item: Item): SweptHost => {
  const { tenant, id, revision, view } = readItem('host', SweptSchema, item);
  return { tenant, id, revision, state: view.state };
};

/** The complete item of a host, with all index keys derived from the record. */
export const hostItem = (record: HostRecord): Item => {
  const { tenant, id, ...rest } = record;
  const { name, facts, schedulable, state } = record.view;
  return createItem('host', keys.host(tenant, id), {
    ...rest,
    ...indexAttributes('gsi1', indexes.hostsByName(tenant, name, id)),
    ...(schedulable && state === 'Ready'
      ? indexAttributes(
          'gsi2',
          indexes.readyHosts(tenant, facts.os.family, memoryClass(record.free.memoryMB), id),
        )
      : {}),
    ...indexAttributes('gsi4', indexes.hostsToSweep(hostShard(id), tenant, id)),
  });
};

/** A host and its link. */
export interface LinkedHost {
  readonly host: HostRecord;
  readonly link: HostLinkRecord | undefined;
}

export const getHost = async (table: Table, tenant: string, id: string): Promise<HostRecord | undefined> => {
  const item = await table.get(keys.host(tenant, id));
  return item && parseHost(item);
};

/** Reads a host and its link, with the host in its current state. */
export const getLinkedHost = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<LinkedHost | undefined> => {
  const [host, link] = await Promise.all([
    table.get(keys.host(tenant, id), { consistent: true }),
    table.get(keys.hostLink(tenant, id)),
  ]);
  return host && { host: parseHost(host), link: link && parseHostLink(link) };
};

const NamedSchema = z.object({ revision: z.number() });

/**
 * Hosts by name, with their links. Costs about one read unit per host in addition to the page: the index does not have the
 * free capacity, which changes with each container.
 */
export const listHosts = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  request: ListRequest,
): Promise<ListPage<LinkedHost>> => {
  const page = await readPage(
    table,
    cursors,
    {
      scope: { tenant, list: 'hosts', filters: {} },
      source: { index: 'gsi1', shards: [indexes.hostsByName(tenant).pk] },
      parse: (item) => readItem('host', NamedSchema, item),
    },
    request,
  );
  const [hosts, links] = await Promise.all([
    lookUp(
      table,
      page.items.map(({ id }) => keyItem(keys.host(tenant, id))),
    ),
    lookUp(
      table,
      page.items.map(({ id }) => keyItem(keys.hostLink(tenant, id))),
    ),
  ]);
  const items = hosts.flatMap((item, at) => {
    const link = links[at];
    return item === undefined ? [] : [{ host: parseHost(item), link: link && parseHostLink(link) }];
  });
  return { ...page, items };
};

/**
 * The write that replaces the view of a host and updates its index keys, on the condition that the host still has the
 * revision that was read.
 *
 * @throws InvalidTransitionError if the state table of hosts has no such transition
 */
export const writeView = (
  before: HostRecord,
  view: HostView,
  actor: string,
): Extract<Write, { update: object }> => {
  const { tenant, id } = before;
  if (!canTransitionHost(before.view.state, view.state))
    throw new InvalidTransitionError(`Host ${id}`, before.view.state, view.state);
  const more = subtract(view.facts.capacity, before.view.facts.capacity);
  const takes = view.schedulable && view.state === 'Ready';
  const index = indexes.readyHosts(
    tenant,
    view.facts.os.family,
    memoryClass(before.free.memoryMB + more.memoryMB),
    id,
  );
  return {
    update: {
      Key: keyItem(keys.host(tenant, id)),
      UpdateExpression: [
        'SET #view = :view, revision = :next, actor = :actor',
        ', #free.#memory = #free.#memory + :memory, #free.#cpus = #free.#cpus + :cpus',
        ', #free.#disk = #free.#disk + :disk',
        takes ? ', gsi2pk = :pk, gsi2sk = :sk' : ' REMOVE gsi2pk, gsi2sk',
      ].join(''),
      ConditionExpression: 'revision = :revision',
      ExpressionAttributeNames: {
        '#view': 'view',
        '#free': 'free',
        '#memory': 'memoryMB',
        '#cpus': 'cpus',
        '#disk': 'diskMB',
      },
      ExpressionAttributeValues: {
        ':view': { M: toItem(view) },
        ':revision': toAttribute(before.revision),
        ':next': toAttribute(before.revision + 1),
        ':actor': toAttribute(actor),
        ':memory': toAttribute(more.memoryMB),
        ':cpus': toAttribute(more.cpus),
        ':disk': toAttribute(view.facts.capacity.diskMB - before.view.facts.capacity.diskMB),
        ...(takes && { ':pk': toAttribute(index.pk), ':sk': toAttribute(index.sk) }),
      },
    },
  };
};

/**
 * The write that marks a host as `Unknown`, so that it gets no new containers, on the condition that the host still has
 * the revision that was read.
 *
 * @throws InvalidTransitionError if the state table of hosts has no such transition
 */
export const writeUnknown = ({ tenant, id, revision, state }: SweptHost, actor: string): Write => {
  const unknown = 'Unknown';
  if (!canTransitionHost(state, unknown)) throw new InvalidTransitionError(`Host ${id}`, state, unknown);
  return {
    update: {
      Key: keyItem(keys.host(tenant, id)),
      UpdateExpression: 'SET #view.#state = :unknown, revision = :next, actor = :actor REMOVE gsi2pk, gsi2sk',
      ConditionExpression: 'revision = :revision',
      ExpressionAttributeNames: { '#view': 'view', '#state': 'state' },
      ExpressionAttributeValues: {
        ':unknown': toAttribute(unknown),
        ':revision': toAttribute(revision),
        ':next': toAttribute(revision + 1),
        ':actor': toAttribute(actor),
      },
    },
  };
};

/**
 * Replaces the view of a host. Does not overwrite `free`, which concurrent placements change.
 * @throws ConditionFailed at index 0 if the host has changed since it was read
 */
export const updateHost = (
  table: Table,
  { before, view, actor }: { readonly before: HostRecord; readonly view: HostView; readonly actor: string },
  remember: readonly Write[],
  token: string,
): Promise<void> => table.transact([writeView(before, view, actor), ...remember], token);

/** The writes that add a host that has not connected yet. */
export const addHost = (host: HostRecord): readonly Write[] => [
  { put: { Item: hostItem(host), ConditionExpression: 'attribute_not_exists(pk)' } },
  { put: { Item: newLinkItem(host.tenant, host.id) } },
];
