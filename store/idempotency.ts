import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import * as z from 'zod/mini';
import { createItem, readItem, TextsSchema } from './item-format.ts';
import { keys } from './keys.ts';
import type { Table, Write } from './table.ts';

/**
 * Stored responses for repeats of a request with the same `Idempotency-Key`.
 *
 * A response is compressed and encrypted, because some responses contain secrets, such as an enrollment token. The
 * encryption key is derived from the caller's `Idempotency-Key`, of which the table has only a hash. So a reader of the
 * table cannot obtain secrets that the table otherwise stores only as hashes.
 */

/** How long a repeat gets the stored response, in seconds. */
const IDEMPOTENCY_SECONDS = 24 * 60 * 60;

/** Two requests with equal values are attempts of the same request. */
export interface IdempotencyScope {
  readonly tenant: string;
  readonly subject: string;
  readonly method: string;
  readonly path: string;
  readonly key: string;
}

const textOf = ({ subject, method, path, key }: IdempotencyScope): string =>
  JSON.stringify([subject, method, path, key]);

/** Part of the item's key: hexadecimal SHA-256. */
const idempotencyHash = (scope: IdempotencyScope): string =>
  createHash('sha256')
    .update(`kept:${textOf(scope)}`)
    .digest('hex');

/**
 * A hash of the parts that a repeat must have in common with the first request: query, preconditions and body,
 * unparsed.
 */
export const requestHash = (parts: readonly (string | undefined)[]): string =>
  createHash('sha256')
    .update(JSON.stringify(parts.map((part) => part ?? null)))
    .digest('hex');

const secretOf = (scope: IdempotencyScope): Buffer =>
  createHmac('sha256', scope.key)
    .update(`sealed:${scope.tenant}:${textOf(scope)}`)
    .digest();

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const seal = (secret: Buffer, text: string, nonce: Buffer): Uint8Array => {
  const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG_BYTES });
  const sealed = Buffer.concat([cipher.update(deflateRawSync(text)), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
};

const open = (secret: Buffer, bytes: Uint8Array): string => {
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const cipher = createDecipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG_BYTES });
  cipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const sealed = bytes.subarray(NONCE_BYTES + TAG_BYTES);
  return inflateRawSync(Buffer.concat([cipher.update(sealed), cipher.final()])).toString();
};

const AnswerSchema = z.object({
  requestHash: z.string(),
  status: z.number(),
  headers: TextsSchema,
  body: z.instanceof(Uint8Array),
  ttl: z.number(),
});

/** A stored response. */
interface IdempotencyRecord extends KeptAnswer {
  readonly tenant: string;
  /** Hexadecimal SHA-256 of subject, method, path and `Idempotency-Key`. */
  readonly hash: string;
}

interface KeptAnswer {
  /** Hexadecimal SHA-256 of query, preconditions and body. */
  readonly requestHash: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The exact body of the first response; stored compressed. */
  readonly body: string;
}

/**
 * The write that stores a response. Its condition fails if another request with the same key has already stored one.
 * @param nonce 12 unpredictable bytes
 */
export const keepAnswer = (scope: IdempotencyScope, answer: KeptAnswer, now: Date, nonce: Buffer): Write => {
  const nowSeconds = Math.floor(now.getTime() / 1000);
  return {
    put: {
      Item: createItem('idempotency', keys.idempotency(scope.tenant, idempotencyHash(scope)), {
        requestHash: answer.requestHash,
        status: answer.status,
        headers: answer.headers,
        body: seal(secretOf(scope), answer.body, nonce),
        ttl: nowSeconds + IDEMPOTENCY_SECONDS,
      }),
      // An expired item may still exist, because time to live deletes items late.
      ConditionExpression: 'attribute_not_exists(pk) OR #ttl <= :now',
      ExpressionAttributeNames: { '#ttl': 'ttl' },
      ExpressionAttributeValues: { ':now': { N: String(nowSeconds) } },
    },
  };
};

/** The stored response, if it is not older than {@link IDEMPOTENCY_SECONDS}. Costs one read unit. */
export const findAnswer = async (
  table: Table,
  scope: IdempotencyScope,
  now: Date,
): Promise<IdempotencyRecord | undefined> => {
  const hash = idempotencyHash(scope);
  // A consistent read, because a repeat may immediately follow the first request.
  const item = await table.get(keys.idempotency(scope.tenant, hash), { consistent: true });
  const kept = item && readItem('idempotency', AnswerSchema, item);
  if (kept === undefined || kept.ttl * 1000 <= now.getTime()) return undefined;
  const { requestHash, status, headers, body } = kept;
  return { tenant: scope.tenant, hash, requestHash, status, headers, body: open(secretOf(scope), body) };
};
