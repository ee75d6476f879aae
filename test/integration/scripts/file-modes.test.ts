import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { setFileModes } from '../../../scripts/setup/linux-runtime/file-modes.ts';

const folder = mkdtempSync(join(tmpdir(), 'artifacts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every user can read the artifacts, whatever the umask of the set-up is', async () => {
  const umask = process.umask(0o077);
  try {
    const names = ['vmlinux', 'initramfs.cpio', 'mini.squashfs', 'helper', 'guest-memory.so'];
    for (const name of names) writeFileSync(join(folder, name), '');
    await setFileModes(folder);
    const modes = ['.', ...names].map((name) => (statSync(join(folder, name)).mode & 0o777).toString(8));
    expect(modes).toEqual(['755', '644', '644', '644', '755', '755']);
  } finally {
    process.umask(umask);
  }
});
