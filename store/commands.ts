import * as z from 'zod/mini';
import type { Command, CommandArguments, CommandResult } from '../core/contract/agent/commands.ts';
import type { Signed } from '../core/contract/agent/signed.ts';
import { StoredResultSchema } from './command-results.ts';
import { type Item, toAttribute } from './item.ts';
import { createItem, orNull, readEach, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { pack, packed } from './packed.ts';
import { ConditionFailed, keyItem, type Table, type Write } from './table.ts';

/**
 * Commands to hosts.
 *
 * Lifecycle: pending (written before it is pushed, pushed until answered) → answered (result stored before the
 * workflow gets it) → deleted once the operation has ended. Traps:
 * - A command is a single item even if it is issued repeatedly: its id is the idempotency key. If it is issued again with
 *   a new task token, only the token changes, and an existing answer is used.
 * - A command is signed once, when it is issued; repeats use the stored signature. So hosts refuse commands that others
 *   write here.
 * - Answered commands must not accumulate in the host's partition, because each heartbeat reads it. The end of an
 *   operation deletes its commands; the time to live removes leftovers.
 */
const KEPT_SECONDS = 24 * 3600;

export interface CommandRecord {
  readonly tenant: string;
  /** Parsed from the signed payload. */
  readonly command: Command;
  /** The payload and signature, as sent to the host. */
  readonly signed: Signed;
  /** `withdrawn`: the operation is rolled back, and the command is no longer sent. */
  readonly state: 'pending' | 'answered' | 'withdrawn';
  /** Null for a query, whose caller reads the result from here. */
  readonly taskToken: string | null;
  readonly operationId: string | null;
  readonly step: string | null;
  readonly result: CommandResult | null;
  /** Milliseconds since 1970, after which the command is not sent. */
  readonly expiresAt: number;
}

/** A command before it is signed and written. */
export type UnsignedCommand = Omit<CommandRecord, 'signed'>;

const CommandItemSchema = z.object({
  /** The payload is kept as text, because the signature covers its bytes. */
  signed: z.optional(z.object({ payload: packed(z.string()), signature: z.string(), keyId: z.string() })),
  /** In an item from another writer: a command without a signature. */
  command: z.optional(z.record(z.string(), z.unknown())),
  state: z.enum(['pending', 'answered', 'withdrawn']),
  taskToken: orNull(z.string()),
  operationId: orNull(z.string()),
  step: orNull(z.string()),
  result: orNull(StoredResultSchema),
  expiresAt: z.number(),
});

/**
 * The members that the control plane reads of a signed payload: the target of the command, and its verb. The other arguments
 * are for the host, which verifies the signature.
 */
const PayloadSchema = z.object({
  containerId: orNull(z.string()),
  epoch: z.number(),
  ttlSeconds: z.number(),
  arguments: z.custom<CommandArguments>(
    (value) => typeof value === 'object' && value !== null && 'verb' in value,
  ),
});

/** A command with an overwritten payload: it can be addressed, and its host refuses it. */
const UNREADABLE: z.infer<typeof PayloadSchema> = {
  containerId: null,
  epoch: 0,
  ttlSeconds: 0,
  arguments: { verb: 'listHostProcesses' },
};

const commandIn = (payload: string) => {
  try {
    return z.safeParse(PayloadSchema, JSON.parse(payload)).data ?? UNREADABLE;
  } catch {
    return UNREADABLE;
  }
};

/**
 * A command without a signature is read as signed by no key, and its host refuses it.
 * @throws UnreadableItemError
 */
export const parseCommand = (item: Item): CommandRecord => {
  const {
    id: hostId,
    command: unsigned,
    signed: found,
    ...rest
  } = readItem('command', CommandItemSchema, item);
  const signed = found ?? { payload: JSON.stringify(unsigned ?? {}), signature: '', keyId: '' };
  return { ...rest, signed, command: { ...commandIn(signed.payload), id: item.sk?.S ?? '', hostId } };
};

/** Signs commands. Only holders of this function can make hosts act. @param expiresAtMs expiry for the host */
export type SignCommand = (command: Command, expiresAtMs: number) => Promise<Signed>;

const commandItem = ({ tenant, command, signed, ...rest }: CommandRecord): Item =>
  createItem('command', keys.command(tenant, command.hostId, command.id), {
    ...rest,
    signed: { ...signed, payload: pack(signed.payload) },
    ttl: Math.floor(rest.expiresAt / 1000) + KEPT_SECONDS,
  });

/** `operationId:step:epoch`: the idempotency key of a workflow's step. */
export const stepCommandId = (operationId: string, step: string, epoch: number): string =>
  `${operationId}:${step}:${epoch}`;

/** A signed command, for {@link giveCommand}, or for {@link addCommand} in a transaction. */
export const signRecord = async (sign: SignCommand, unsigned: UnsignedCommand): Promise<CommandRecord> => ({
  ...unsigned,
  signed: await sign(unsigned.command, unsigned.expiresAt),
});

/**
 * Signs a command and writes it. An existing command gets the new task token and keeps its signature.
 *
 * @returns the current command, which may already be answered
 */
export const giveCommand = async (
  table: Table,
  sign: SignCommand,
  unsigned: UnsignedCommand,
): Promise<CommandRecord> => {
  const record = await signRecord(sign, unsigned);
  try {
    await table.put({ Item: commandItem(record), ConditionExpression: 'attribute_not_exists(pk)' });
    return record;
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
  }
  if (record.taskToken === null) return (await getCommand(table, record)) ?? record;
  const updated = await table.update({
    Key: keyItem(keys.command(record.tenant, record.command.hostId, record.command.id)),
    UpdateExpression: 'SET taskToken = :token',
    ConditionExpression: 'attribute_exists(pk)',
    ExpressionAttributeValues: { ':token': toAttribute(record.taskToken) },
  });
  return parseCommand(updated);
};

const getCommand = async (table: Table, record: CommandRecord): Promise<CommandRecord | undefined> => {
  const { hostId, id } = record.command;
  const item = await table.get(keys.command(record.tenant, hostId, id), { consistent: true });
  return item && parseCommand(item);
};

/**
 * Commands of a host that are unanswered, including expired ones, and the answered commands of operations that no
 * execution runs: their failure may not have been processed yet. An unreadable command does not block the others.
 */
export const listOpenCommands = async (
  table: Table,
  tenant: string,
  hostId: string,
): Promise<readonly CommandRecord[]> => {
  const { pk } = keys.command(tenant, hostId, '');
  const found: CommandRecord[] = [];
  let after: Awaited<ReturnType<Table['query']>>['after'];
  do {
    const page = await table.query({
      key: { pk, sk: '' },
      sort: 'any',
      ...(after && { after }),
      filter: {
        expression:
          '#state = :pending OR #state = :answered AND attribute_exists(operationId) AND attribute_not_exists(taskToken)',
        names: { '#state': 'state' },
        values: { ':pending': toAttribute('pending'), ':answered': toAttribute('answered') },
      },
    });
    found.push(...readEach(table, page.items, parseCommand));
    after = page.after;
  } while (after !== undefined);
  return found;
};

/** All commands of an operation to a host, answered or not. */
export const listCommandsOf = async (
  table: Table,
  tenant: string,
  hostId: string | null,
  operationId: string,
): Promise<readonly CommandRecord[]> => {
  if (hostId === null) return [];
  const key = keys.command(tenant, hostId, `${operationId}:`);
  const page = await table.query({ key, sort: 'prefix', consistent: true });
  return page.items.map(parseCommand);
};

type Answered =
  | { readonly kind: 'stored' | 'replayed'; readonly record: CommandRecord }
  | { readonly kind: 'unknown' };

/**
 * Stores the result of a command, once: a second result has no effect, and the first one is returned.
 */
export const storeResult = async (
  table: Table,
  tenant: string,
  hostId: string,
  result: CommandResult,
): Promise<Answered> => {
  try {
    const item = await table.update({
      Key: keyItem(keys.command(tenant, hostId, result.commandId)),
      UpdateExpression: 'SET #state = :answered, #result = :result',
      ConditionExpression: '#state = :pending',
      ExpressionAttributeNames: { '#state': 'state', '#result': 'result' },
      ExpressionAttributeValues: {
        ':answered': toAttribute('answered'),
        ':pending': toAttribute('pending'),
        ':result': toAttribute(result),
      },
    });
    return { kind: 'stored', record: parseCommand(item) };
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error;
    return error.item === undefined
      ? { kind: 'unknown' }
      : { kind: 'replayed', record: parseCommand(error.item) };
  }
};

/**
 * Withdraws the commands that are unanswered, before the undo command is sent. In the other order the host would repeat
 * what it has just undone.
 */
export const withdrawCommands = async (
  table: Table,
  { tenant, hostId }: { readonly tenant: string; readonly hostId: string },
  commandIds: readonly string[],
): Promise<void> => {
  const withdraw = async (commandId: string): Promise<void> => {
    try {
      await table.update({
        Key: keyItem(keys.command(tenant, hostId, commandId)),
        UpdateExpression: 'SET #state = :withdrawn',
        ConditionExpression: '#state = :pending',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: {
          ':withdrawn': toAttribute('withdrawn'),
          ':pending': toAttribute('pending'),
        },
      });
    } catch (error) {
      // Not issued, or answered: nothing to withdraw.
      if (!(error instanceof ConditionFailed)) throw error;
    }
  };
  await Promise.all(commandIds.map(withdraw));
};

/** A new command, with a new id, as part of a transaction. */
export const addCommand = (record: CommandRecord): Write => ({ put: { Item: commandItem(record) } });

/** Deletes a command as part of a transaction, if it exists. */
export const dropCommand = ({ tenant, command }: UnsignedCommand): Write => ({
  remove: { Key: keyItem(keys.command(tenant, command.hostId, command.id)) },
});

export const deleteCommand = (table: Table, tenant: string, command: Command): Promise<void> =>
  table.remove({ Key: keyItem(keys.command(tenant, command.hostId, command.id)) });

/**
 * Deletes the commands of an ended operation. Not part of the transaction, because a failure is harmless: the time to live
 * deletes them later.
 */
export const deleteCommands = async (table: Table, commands: readonly CommandRecord[]): Promise<void> => {
  await Promise.allSettled(commands.map((record) => deleteCommand(table, record.tenant, record.command)));
};

export const findCommand = async (
  table: Table,
  tenant: string,
  hostId: string,
  commandId: string,
): Promise<CommandRecord | undefined> => {
  const item = await table.get(keys.command(tenant, hostId, commandId));
  return item && parseCommand(item);
};
