import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { type Labels, LIMITS } from '../core/contract/primitives.ts';
import { ConflictError } from '../core/domain/errors.ts';
import { addHost, type HostRecord } from './hosts.ts';
import { createItem, readItem, TextsSchema } from './item-format.ts';
import { keys, TENANT_PATTERN } from './keys.ts';
import { ConditionFailed, keyItem, type Table, type Write } from './table.ts';

/**
 * Enrollment tokens: `<tenant>.<secret>`, both in base64url. The tenant is part of it because the caller has no other
 * token. Valid once, within 15 minutes; the table has only a hash.
 */
const SECRET_BYTES = 32;

const TokenSchema = z.object({ labels: TextsSchema, ttl: z.number() });

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** The tenant that a token claims; undefined if it is malformed. The claim counts only once the hash is found. */
const tenantOf = (token: string): string | undefined => {
  const [encoded = '', secret = '', ...more] = token.split('.');
  const tenant = Buffer.from(encoded, 'base64url').toString();
  return more.length === 0 && secret !== '' && TENANT_PATTERN.test(tenant) ? tenant : undefined;
};

interface NewToken {
  readonly token: string;
  readonly expiresAt: Date;
  readonly write: Write;
}

/** A token, and the write that makes it valid. @param randomBytes returns that many random bytes */
export const newEnrollmentToken = (
  tenant: string,
  labels: Labels,
  now: Date,
  randomBytes: (count: number) => Buffer,
): NewToken => {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const token = `${Buffer.from(tenant).toString('base64url')}.${secret}`;
  const expires = Math.floor(now.getTime() / 1000) + LIMITS.enrollmentTokenSeconds;
  return {
    token,
    expiresAt: new Date(expires * 1000),
    write: {
      put: {
        Item: createItem('enrollmentToken', keys.enrollmentToken(tenant, hashOf(token)), {
          labels,
          ttl: expires,
        }),
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    },
  };
};

/** The same error for an unknown, a used and an expired token. */
const invalid = (): ConflictError =>
  new ConflictError('enrollment-token-invalid', 'The enrollment token is unknown, used or expired.', {
    suggestion: 'Create another one with POST /v1/hosts/enrollment-tokens.',
  });

/** The content of a valid token. @throws ConflictError `enrollment-token-invalid` */
export const readEnrollmentToken = async (
  table: Table,
  token: string,
  now: Date,
): Promise<{ readonly tenant: string; readonly labels: Labels }> => {
  const tenant = tenantOf(token);
  if (tenant === undefined) throw invalid();
  const item = await table.get(keys.enrollmentToken(tenant, hashOf(token)), { consistent: true });
  const found = item && readItem('enrollmentToken', TokenSchema, item);
  if (found === undefined || found.ttl * 1000 <= now.getTime()) throw invalid();
  return { tenant, labels: found.labels };
};

/**
 * Consumes the token and adds the host, in one transaction.
 * @throws ConflictError `enrollment-token-invalid`
 */
export const enrollHost = async (table: Table, token: string, host: HostRecord, now: Date): Promise<void> => {
  const useToken: Write = {
    remove: {
      Key: keyItem(keys.enrollmentToken(host.tenant, hashOf(token))),
      ConditionExpression: 'attribute_exists(pk) AND #ttl > :now',
      ExpressionAttributeNames: { '#ttl': 'ttl' },
      ExpressionAttributeValues: { ':now': { N: String(Math.floor(now.getTime() / 1000)) } },
    },
  };
  try {
    await table.transact([useToken, ...addHost(host)], host.id);
  } catch (error) {
    if (error instanceof ConditionFailed && error.index === 0) throw invalid();
    throw error;
  }
};
