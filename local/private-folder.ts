import { chmodSync, mkdirSync, statSync } from 'node:fs';

const OWNER_ONLY = 0o700;
const STICKY = 0o1000;

/**
 * Creates a folder that only this user can enter, or restricts an existing folder of this user. A shared folder with the
 * sticky bit, such as /tmp, keeps its mode because others use it.
 */
export const makePrivateFolder = (path: string): void => {
  mkdirSync(path, { recursive: true, mode: OWNER_ONLY });
  const { uid, mode } = statSync(path);
  if (uid === process.getuid?.() && (mode & STICKY) === 0) chmodSync(path, OWNER_ONLY);
};
