import { SignJWT } from 'jose';
import { HOST_TOKEN_AUDIENCE, HOST_TOKEN_SECONDS } from '../../core/contract/agent/messages.ts';
import type { Clock } from '../clock.ts';
import type { Enrollment, HostKey } from './identity.ts';

/** The short-lived token with which the host authenticates a connection, signed with its key. */
export const signHostToken = (
  { hostId, tenant }: Pick<Enrollment, 'hostId' | 'tenant'>,
  { privateKey }: Pick<HostKey, 'privateKey'>,
  { clock, newId }: { clock: Pick<Clock, 'now'>; newId: () => string },
): Promise<string> => {
  const issuedAt = Math.floor(clock.now().getTime() / 1_000);
  return new SignJWT({ tenant })
    .setProtectedHeader({ alg: 'EdDSA', kid: hostId, typ: 'JWT' })
    .setIssuer(hostId)
    .setSubject(hostId)
    .setAudience(HOST_TOKEN_AUDIENCE)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + HOST_TOKEN_SECONDS)
    .setJti(newId())
    .sign(privateKey);
};
