import type { OsFamily } from '../../../core/contract/host.ts';
import { isUser } from '../../../core/contract/primitives.ts';
import { RuntimeError } from '../../errors.ts';

const DEFAULT_USERS: Readonly<Record<OsFamily, string>> = { linux: 'root', windows: 'ContainerUser' };

/**
 * The user name of a process that runs as `user`. A simulated image has every user.
 * @throws {RuntimeError} `step-failed` if the text is not a valid user
 */
export const simulatedUser = (family: OsFamily, user: string | undefined): string => {
  if (user === undefined) return DEFAULT_USERS[family];
  if (family === 'windows') return user;
  if (!isUser(user)) throw new RuntimeError('step-failed', `"${user}" is not a valid user.`);
  const [name = ''] = user.split(':');
  return name === '0' ? 'root' : name;
};
