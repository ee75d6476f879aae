import type { OsFamily } from '../core/contract/host.ts';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { caseInsensitiveKey } from '../core/domain/names.ts';

/**
 * The only builder of keys. Every item key begins with its tenant. Tenants (checked in the token's claim), ids and names
 * contain no `#`, so that no key can be forged to look like another tenant's.
 *
 * | Entity          | pk               | sk          | gsi1 (by name)    | gsi2               | gsi3 (keys, by host/owner) | gsi4 (keys) |
 * |-----------------|------------------|-------------|-------------------|--------------------|----------------------|------|
 * | container       | T#t#C#id         | C           | T#t#C@shard / name |                   | T#t#C@host / name | T#t#C%image / name |
 * | container name  | T#t#CN#name      | N           |                   |                    |                      |      |
 * | operation       | T#t#O#id         | O           | T#t#O@shard / time#id | T#t#W / time#id while it waits | T#t#O@owner / time#id | |
 * | host            | T#t#H#id         | H           | T#t#H / name#id   | T#t#HR#os / class#id while it is ready | | HOSTS#shard / tenant#id |
 * | host link       | T#t#H#id         | L           |                   |                    |                      |      |
 * | downtimes       | T#t#H#id         | D#type      |                   |                    |                      |      |
 * | command         | T#t#HC#host      | command id  |                   |                    |                      |      |
 * | image           | T#t#I#image      | I           | T#t#I / image     |                    |                      |      |
 * | image on host   | T#t#I#image      | H#host      |                   | T#t#IH@host / image |                     |      |
 * | enrollment token | T#t#ET#hash      | T           |                   |                    |                      |      |
 * | idempotency     | T#t#K#hash       | K           |                   |                    |                      |      |
 * | session         | T#t#S#id         | S           |                   |                    |                      |      |
 * | event log       | T#t#E            | number      |                   |                    |                      |      |
 * | conversion rule | T#t#CR           | name        |                   |                    |                      |      |
 * | number of rules | T#t#CRN          | N           |                   |                    |                      |      |
 * | run of a rule   | T#t#RR#rule id   | time#event  |                   |                    |                      |      |
 * | cooldown        | T#t#RC#rule id   | container id |                  |                    |                      |      |
 * | cursor key      | SYSTEM#CURSOR    | K           |                   |                    |                      |      |
 * | refused command | T#t#RF#host      | hash        |                   |                    |                      |      |
 * | command key     | SYSTEM#COMMAND-KEYS | id of the previous key |       |                    |                      |      |
 *
 * The host shards in gsi4 are the only index across tenants. Only the sweeper reads them.
 */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}
export interface IndexKey {
  readonly pk: string;
  readonly sk: string;
}
export type IndexName = 'gsi1' | 'gsi2' | 'gsi3' | 'gsi4';

/** The allowed form of a tenant in a key. */
export const TENANT_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
export const HOST_SHARDS = 8;
/**
 * Shards of a tenant's containers by name, and of its operations by time. A create with start writes one entry of each
 * twice, and a key takes 1,000 writes a second.
 */
export const LIST_SHARDS = 2;

const t = (tenant: string): string => `T#${tenant}`;

/** Shard of a host in the sweeper's index, from the last hexadecimal digit of its id. */
export const hostShard = (hostId: string): number => Number.parseInt(hostId.slice(-1), 16) % HOST_SHARDS;

/** Shard of a list, from a text that differs between its items: FNV-1a, of which the upper bits are mixed best. */
const listShard = (text: string): number => {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return (hash >>> 24) % LIST_SHARDS;
};

export const keys = {
  container: (tenant: string, id: string): Key => ({ pk: `${t(tenant)}#C#${id}`, sk: 'C' }),
  containerName: (tenant: string, name: string): Key => ({ pk: `${t(tenant)}#CN#${name}`, sk: 'N' }),
  operation: (tenant: string, id: string): Key => ({ pk: `${t(tenant)}#O#${id}`, sk: 'O' }),
  host: (tenant: string, id: string): Key => ({ pk: `${t(tenant)}#H#${id}`, sk: 'H' }),
  /** Downtimes of conversions to a runtime type on a host. */
  downtimes: (tenant: string, hostId: string, to: RuntimeType): Key => ({
    pk: `${t(tenant)}#H#${hostId}`,
    sk: `D#${to}`,
  }),
  hostLink: (tenant: string, id: string): Key => ({ pk: `${t(tenant)}#H#${id}`, sk: 'L' }),
  command: (tenant: string, hostId: string, commandId: string): Key => ({
    pk: `${t(tenant)}#HC#${hostId}`,
    sk: commandId,
  }),
  image: (tenant: string, name: string): Key => ({
    pk: `${t(tenant)}#I#${caseInsensitiveKey(name)}`,
    sk: 'I',
  }),
  imageOnHost: (tenant: string, name: string, hostId: string): Key => ({
    pk: `${t(tenant)}#I#${caseInsensitiveKey(name)}`,
    sk: `H#${hostId}`,
  }),
  enrollmentToken: (tenant: string, hash: string): Key => ({ pk: `${t(tenant)}#ET#${hash}`, sk: 'T' }),
  idempotency: (tenant: string, hash: string): Key => ({ pk: `${t(tenant)}#K#${hash}`, sk: 'K' }),
  session: (tenant: string, id: string): Key => ({ pk: `${t(tenant)}#S#${id}`, sk: 'S' }),
  event: (tenant: string, at: string): Key => ({ pk: `${t(tenant)}#E`, sk: at }),
  conversionRule: (tenant: string, name = ''): Key => ({ pk: `${t(tenant)}#CR`, sk: name }),
  ruleCount: (tenant: string): Key => ({ pk: `${t(tenant)}#CRN`, sk: 'N' }),
  ruleRun: (tenant: string, ruleId: string, at = ''): Key => ({ pk: `${t(tenant)}#RR#${ruleId}`, sk: at }),
  ruleCooldown: (tenant: string, ruleId: string, containerId: string): Key => ({
    pk: `${t(tenant)}#RC#${ruleId}`,
    sk: containerId,
  }),
  /** @param hash hash of the refusal, so that a repetition is the same item */
  refusedCommand: (tenant: string, hostId: string, hash: string): Key => ({
    pk: `${t(tenant)}#RF#${hostId}`,
    sk: hash,
  }),
  /** The announcement of the successor of a key. */
  commandKey: (previousKeyId = ''): Key => ({ pk: 'SYSTEM#COMMAND-KEYS', sk: previousKeyId }),
  cursorKey: (): Key => ({ pk: 'SYSTEM#CURSOR', sk: 'K' }),
} as const;

const shardKeys = (prefix: string): readonly string[] =>
  Array.from({ length: LIST_SHARDS }, (_, shard) => `${prefix}@${shard}`);

export const indexes = {
  containersByName: (tenant: string, name: string): IndexKey => ({
    pk: `${t(tenant)}#C@${listShard(name)}`,
    sk: name,
  }),
  containersByHost: (tenant: string, hostId: string, name = ''): IndexKey => ({
    pk: `${t(tenant)}#C@${hostId}`,
    sk: name,
  }),
  containersByImage: (tenant: string, image: string, name = ''): IndexKey => ({
    pk: `${t(tenant)}#C%${caseInsensitiveKey(image)}`,
    sk: name,
  }),
  operationsByTime: (tenant: string, time: string, id: string): IndexKey => ({
    pk: `${t(tenant)}#O@${listShard(id)}`,
    sk: `${time}#${id}`,
  }),
  operationsByOwner: (tenant: string, ownerId: string, time = '', id = ''): IndexKey => ({
    pk: `${t(tenant)}#O@${ownerId}`,
    sk: `${time}#${id}`,
  }),
  waitingOperations: (tenant: string, time = '', id = ''): IndexKey => ({
    pk: `${t(tenant)}#W`,
    sk: `${time}#${id}`,
  }),
  hostsByName: (tenant: string, name = '', id = ''): IndexKey => ({
    pk: `${t(tenant)}#H`,
    sk: `${name}#${id}`,
  }),
  readyHosts: (tenant: string, os: OsFamily, room = '', id = ''): IndexKey => ({
    pk: `${t(tenant)}#HR#${os}`,
    sk: `${room}#${id}`,
  }),
  hostsToSweep: (shard: number, tenant = '', id = ''): IndexKey => ({
    pk: `HOSTS#${shard}`,
    sk: `${tenant}#${id}`,
  }),
  images: (tenant: string, name = ''): IndexKey => ({ pk: `${t(tenant)}#I`, sk: caseInsensitiveKey(name) }),
  imagesOfHost: (tenant: string, hostId: string, name = ''): IndexKey => ({
    pk: `${t(tenant)}#IH@${hostId}`,
    sk: caseInsensitiveKey(name),
  }),
} as const;

/** The partition keys of the shards of a list. */
export const listShards = {
  containersByName: (tenant: string) => shardKeys(`${t(tenant)}#C`),
  operationsByTime: (tenant: string) => shardKeys(`${t(tenant)}#O`),
} as const;

/** An index key as the attributes of an item. */
export const indexAttributes = (index: IndexName, key: IndexKey): Record<string, string> => ({
  [`${index}pk`]: key.pk,
  [`${index}sk`]: key.sk,
});

/** Tenant and entity id of a partition key from {@link keys}; the id is '' if the key has none. */
export const parsePartitionKey = (pk: string): { tenant: string; id: string } => {
  const [, tenant = '', , ...rest] = pk.split('#');
  return { tenant, id: rest.join('#') };
};
