import type { OsFamily } from '../../../core/contract/host.ts';
import { isUser } from '../../../core/contract/primitives.ts';
import { RuntimeError } from '../../errors.ts';

const DEFAULT_USERS: Readonly<Record<OsFamily, string>> = { linux: 'root', windows: 'ContainerUser' };

/**
 * What a process of that user is called. A simulated image has a user of every name.
 * @throws {RuntimeError} `step-failed` where the text is no user
 */
export const simulatedUser = (family: OsFamily, user: string | undefined): string => {
  if (user === undefined) return DEFAULT_USERS[family];
  if (family === 'windows') return user;
  if (!isUser(user)) throw new RuntimeError('step-failed', `"${user}" is not a user.`);
  const [name = ''] = user.split(':');
  return name === '0' ? 'root' : name;
};
