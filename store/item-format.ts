import * as z from 'zod/mini';
import { TABLE } from '../core/contract/deployment.ts';
import { type Problem, ProblemCodeSchema } from '../core/contract/problem.ts';
import { BulkheadError, OtherTableFormatError } from '../core/domain/errors.ts';
import { fromItem, type Item, toItem } from './item.ts';
import { type Key, parsePartitionKey } from './keys.ts';

/**
 * The format of items. An item is
 * `{pk, sk, v, entity, revision, view: {…}, …rest, gsiNpk, gsiNsk, ttl?}`. `view` is what lists show. Most
 * indexes project it with `v` and `revision`; the others have only keys. The other members are only for the control plane, and changing them costs no
 * index write. Absent and null are the same: null is not stored. `tenant` and ids are only in the keys.
 *
 * The file of each entity has a schema for its items, and one for the attributes that indexes project. Schemas check
 * structure and types, but never the API's limits, so that existing items stay readable when a limit is tightened.
 */
export type Entity =
  | 'container'
  | 'containerName'
  | 'operation'
  | 'host'
  | 'hostLink'
  | 'downtimes'
  | 'command'
  | 'image'
  | 'imageOnHost'
  | 'enrollmentToken'
  | 'idempotency'
  | 'session'
  | 'event'
  | 'conversionRule'
  | 'ruleCount'
  | 'ruleRun'
  | 'ruleCooldown'
  | 'cursorKey'
  | 'refusedCommand'
  | 'commandKey';

/** The contents of a partition key: the owner of the item, and the entity's id. */
export interface Owned {
  readonly tenant: string;
  readonly id: string;
}

/**
 * An item does not have the structure of its entity. The message names the item and its members, but never a value,
 * because items contain secrets.
 */
export class UnreadableItemError extends BulkheadError {
  readonly code = 'internal';
  readonly entity: Entity;
  readonly key: string;
  /** Paths of the members that are missing or wrong, such as `view.state`. */
  readonly members: readonly string[];
  constructor(entity: Entity, key: string, members: readonly string[]) {
    super(
      `The ${entity} item ${key} cannot be read: ${members.join(', ')} is missing or has the wrong type.`,
    );
    this.entity = entity;
    this.key = key;
    this.members = members;
  }
}

/** Whether an item is permanently unreadable, so that reading it again does not help. */
export const isUnreadable = (error: unknown): error is UnreadableItemError | OtherTableFormatError =>
  error instanceof UnreadableItemError || error instanceof OtherTableFormatError;

const MEMBERS_NAMED = 5;

const keyText = ({ pk, sk }: Item): string => `${pk?.S} / ${sk?.S}`;

/**
 * Reads an item of `entity` as a record, with the ids in its key.
 *
 * @throws OtherTableFormatError if another version of this package wrote it
 * @throws UnreadableItemError if it does not match the schema
 */
export const readItem = <T extends object>(
  entity: Entity,
  schema: z.ZodMiniType<T>,
  item: Item,
): T & Owned => {
  const plain = fromItem(item);
  if (plain.v !== TABLE.format) throw new OtherTableFormatError(`${entity} item ${keyText(item)}`);
  const read = z.safeParse(schema, plain);
  if (read.success) return { ...parsePartitionKey(item.pk?.S ?? ''), ...read.data };
  const members = read.error.issues.map(({ path }) => path.join('.'));
  throw new UnreadableItemError(entity, keyText(item), members.slice(0, MEMBERS_NAMED));
};

/** Creates an item. All items are created here, so that each has its entity and the format's version. */
export const createItem = (entity: Entity, key: Key, members: object): Item =>
  toItem({ ...key, v: TABLE.format, entity, ...members });

/** Reads items and reports unreadable ones, for work that must not fail because of a single item. */
export const readEach = <T>(
  { reportUnreadable }: { readonly reportUnreadable: (error: unknown) => void },
  items: readonly Item[],
  read: (item: Item) => T,
): T[] =>
  items.flatMap((item) => {
    try {
      return [read(item)];
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      reportUnreadable(error);
      return [];
    }
  });

export const entityOf = (item: Item): string | undefined => item.entity?.S;

/** A member that is omitted from the item if it is null. */
/* @__NO_SIDE_EFFECTS__ */
export const orNull = <T extends z.ZodMiniType>(schema: T) => z._default(z.nullable(schema), null);

/** A map of strings, such as labels. */
export const TextsSchema = z.record(z.string(), z.string());

/** A problem as stored in containers and operations. */
export const StoredProblemSchema: z.ZodMiniType<Problem> = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: ProblemCodeSchema,
  detail: z.string(),
  requestId: z.optional(z.string()),
  suggestion: z.optional(z.string()),
  errors: z.optional(z.array(z.object({ pointer: z.string(), detail: z.string() }))),
  context: z.optional(z.record(z.string(), z.unknown())),
});
