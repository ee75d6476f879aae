import { createPublicKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import * as z from 'zod/mini';
import { HOST_TOKEN_AUDIENCE, HOST_TOKEN_SECONDS } from '../../core/contract/agent/messages.ts';
import { IdSchema } from '../../core/contract/primitives.ts';
import { UnauthorizedError } from '../../core/domain/errors.ts';
import { type HostRecord, parseHost } from '../../store/hosts.ts';
import { keys, TENANT_PATTERN } from '../../store/keys.ts';
import type { SessionSeal } from '../../store/sessions.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import { authorizeSession, sessionToken } from './session.ts';

interface AuthorizeHostDependencies extends Pick<SessionSeal, 'isSealed'> {
  readonly table: Table;
  readonly now: () => Date;
  readonly logger: Logger;
}

/** Allowed clock skew of a host, in seconds. */
const CLOCK_SKEW_SECONDS = 30;

const RequestSchema = z.object({
  methodArn: z.string(),
  headers: z.optional(z.nullable(z.record(z.string(), z.string()))),
  queryStringParameters: z.optional(z.nullable(z.record(z.string(), z.string()))),
});
const HeaderSchema = z.object({ alg: z.literal('EdDSA'), kid: IdSchema });
const ClaimsSchema = z.object({
  tenant: z.string().check(z.regex(TENANT_PATTERN)),
  sub: IdSchema,
  iat: z.number(),
  exp: z.number(),
});

const bearerToken = (headers: Record<string, string> | null | undefined): string | undefined => {
  const entry = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'authorization');
  return entry?.[1].match(/^Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i)?.[1];
};

const decoded = (decode: () => unknown): unknown => {
  try {
    return decode();
  } catch (cause) {
    throw new UnauthorizedError('malformed token', { cause });
  }
};

/** Whether the token is invalid. After any other error the host can retry. */
const isRefusal = (error: unknown): boolean =>
  error instanceof UnauthorizedError || error instanceof errors.JOSEError;

const valid = <T>(schema: z.ZodMiniType<T>, value: unknown): T => {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new UnauthorizedError('malformed request or token');
  return parsed.data;
};

/**
 * The tenant and host that the token claims. Not verified yet: they only select the host item whose public key must
 * verify the token.
 */
const claimed = (token: string): { tenant: string; hostId: string } => {
  const { kid } = valid(
    HeaderSchema,
    decoded(() => decodeProtectedHeader(token)),
  );
  const { tenant, sub, iat, exp } = valid(
    ClaimsSchema,
    decoded(() => decodeJwt(token)),
  );
  if (sub !== kid) throw new UnauthorizedError('subject and key differ');
  if (exp - iat > HOST_TOKEN_SECONDS) throw new UnauthorizedError('valid for too long');
  return { tenant, hostId: kid };
};

const verify = async (token: string, { id, publicKey }: HostRecord, now: Date): Promise<void> => {
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: publicKey } });
  await jwtVerify(token, key, {
    algorithms: ['EdDSA'],
    audience: HOST_TOKEN_AUDIENCE,
    issuer: id,
    subject: id,
    clockTolerance: CLOCK_SKEW_SECONDS,
    maxTokenAge: HOST_TOKEN_SECONDS,
    requiredClaims: ['exp', 'iat', 'tenant'],
    currentDate: now,
  });
};

/** A policy for the stage's `$connect` only, from the ARN in API Gateway's request. */
const allow = (methodArn: string, principalId: string, context: Readonly<Record<string, string>>) => ({
  principalId,
  policyDocument: {
    Version: '2012-10-17',
    Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: methodArn }],
  },
  context,
});

/**
 * Authorizer of the WebSocket. A host authenticates with a token that it signed with its own key, a session client with
 * its session token.
 *
 * @throws UnauthorizedError with the message that API Gateway maps to 401; the reason is only in the log
 */
export const createAuthorizeHostHandler = ({ table, now, logger, isSealed }: AuthorizeHostDependencies) => {
  const authorize = async (event: unknown) => {
    const { methodArn, headers, queryStringParameters } = valid(RequestSchema, event);
    const ofSession = sessionToken(headers ?? {});
    if (ofSession !== undefined) {
      const context = await authorizeSession(table, ofSession, queryStringParameters?.session, now(), {
        isSealed,
      });
      return allow(methodArn, context.sessionId, context);
    }
    const token = bearerToken(headers);
    if (token === undefined) throw new UnauthorizedError('no token');
    const { tenant, hostId } = claimed(token);
    const item = await table.get(keys.host(tenant, hostId), { consistent: true });
    if (item === undefined) throw new UnauthorizedError('no such host');
    const host = parseHost(item);
    if (host.view.state === 'Lost') throw new UnauthorizedError('the host is lost');
    await verify(token, host, now());
    return allow(methodArn, hostId, { tenant, hostId });
  };
  return async (event: unknown) => {
    try {
      return await authorize(event);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      logger.warn('connection refused', { reason: error instanceof Error ? error.name : 'unknown' });
      throw new UnauthorizedError('Unauthorized', { cause: error });
    }
  };
};
