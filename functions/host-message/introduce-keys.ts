import type * as z from 'zod/mini';
import { signPayload } from '../../core/authenticity/signing-key.ts';
import type { HelloSchema, WelcomeSchema } from '../../core/contract/agent/messages.ts';
import { listNextKeys, putNextKey } from '../../store/command-keys.ts';
import { type CommandKeys, publicKeysOf } from '../shared/secrets/command-signing.ts';
import type { HostMessageDependencies } from './dependencies.ts';

type Introduction = Pick<z.infer<typeof WelcomeSchema>, 'signedTime' | 'commandKeys' | 'nextKeys'>;

/** Stores the newest key with its announcement by the previous key, for hosts that connect after the next rotation. */
const announce = async (
  { table }: HostMessageDependencies,
  { newest, previous }: CommandKeys,
): Promise<void> => {
  if (previous === null) return;
  await putNextKey(table, signPayload(previous, 'next-key', { publicKey: newest.publicKey }));
};

/**
 * The part of the welcome with which a host verifies commands: always the time; the keys, for a host without keys; the
 * announcements from the host's key to the newest one, for a host with an older key.
 */
export const introduceKeys = async (
  deps: HostMessageDependencies,
  hostId: string,
  { messageId, commandKey }: z.infer<typeof HelloSchema>,
): Promise<Introduction> => {
  const keys = await deps.keys();
  const time = { hostId, messageId, nowMs: deps.now().getTime() };
  const signedTime = signPayload(keys.inUse, 'server-time', time);
  if (commandKey === keys.newest.keyId) return { signedTime };
  await announce(deps, keys);
  if (commandKey === undefined) return { signedTime, commandKeys: publicKeysOf(keys) };
  return { signedTime, nextKeys: [...(await listNextKeys(deps.table))] };
};
