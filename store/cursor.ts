import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod/mini';
import { ConflictError } from '../core/domain/errors.ts';
import type { Item } from './item.ts';
import { createItem, readItem } from './item-format.ts';
import { keys } from './keys.ts';
import { ConditionFailed, type Table } from './table.ts';

/**
 * Cursors: signed positions in a list, so that a caller cannot forge one into another tenant's items or use one with other
 * filters.
 */

/** The list and filters that a cursor is valid for. */
export interface CursorScope {
  readonly tenant: string;
  /** Name of the list. */
  readonly list: string;
  /** Filters of the list, in any order. */
  readonly filters: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** A position in a list. */
export interface CursorPosition {
  /** Null: the beginning. */
  readonly after: Readonly<Record<string, string>> | null;
  /** Part of the item at which a page has ended. */
  readonly part: number;
}

export interface Cursors {
  sign(scope: CursorScope, position: CursorPosition): Promise<string>;
  /** @throws ConflictError `cursor-invalid` if the cursor is forged or for another list */
  verify(scope: CursorScope, cursor: string): Promise<CursorPosition>;
}

const KEY_BYTES = 32;

const CursorKeySchema = z.object({ secret: z.instanceof(Uint8Array) });

const secretIn = (item: Item): Uint8Array => readItem('cursorKey', CursorKeySchema, item).secret;

/** The signing key from the table. The first process that needs it creates it. */
const loadKey = async (table: Table, makeKey: (bytes: number) => Buffer): Promise<Uint8Array> => {
  const stored = await table.get(keys.cursorKey());
  if (stored !== undefined) return secretIn(stored);
  const secret = makeKey(KEY_BYTES);
  try {
    await table.put({
      Item: createItem('cursorKey', keys.cursorKey(), { secret }),
      ConditionExpression: 'attribute_not_exists(pk)',
    });
    return secret;
  } catch (error) {
    if (error instanceof ConditionFailed && error.item !== undefined) return secretIn(error.item);
    throw error;
  }
};

const canonical = ({ tenant, list, filters }: CursorScope): string =>
  JSON.stringify([
    tenant,
    list,
    Object.entries(filters)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);

const invalid = (): ConflictError =>
  new ConflictError('cursor-invalid', 'The cursor does not belong to this list and these filters.', {
    suggestion: 'Start again without a cursor.',
  });

/** @param makeKey returns that many random bytes */
export const createCursors = (table: Table, makeKey: (bytes: number) => Buffer): Cursors => {
  let key: Promise<Uint8Array> | undefined;
  const signatureOf = async (scope: CursorScope, position: string): Promise<Buffer> => {
    key ??= loadKey(table, makeKey).catch((error: unknown) => {
      // Not cached, so that the next call tries again.
      key = undefined;
      throw error;
    });
    return createHmac('sha256', await key)
      .update(`${canonical(scope)}\n${position}`)
      .digest();
  };
  return {
    sign: async (scope, { after, part }) => {
      const position = Buffer.from(JSON.stringify([after, part])).toString('base64url');
      return `${position}.${(await signatureOf(scope, position)).toString('base64url')}`;
    },
    verify: async (scope, cursor) => {
      const [position = '', given = ''] = cursor.split('.');
      const wanted = await signatureOf(scope, position);
      const signature = Buffer.from(given, 'base64url');
      // The text is compared too: base64 has several texts for the same bytes.
      if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) throw invalid();
      if (signature.toString('base64url') !== given) throw invalid();
      const [after, part] = JSON.parse(Buffer.from(position, 'base64url').toString()) as [
        CursorPosition['after'],
        number,
      ];
      return { after, part };
    },
  };
};
