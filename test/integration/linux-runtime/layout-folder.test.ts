import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { checkLayoutFolder } from '../../../agent/runtimes/linux/image/check-layout-folder.ts';

let scratch: string;
let folder: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'layout-'));
  folder = join(scratch, 'image');
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  for (const name of ['index.json', 'oci-layout', 'blobs/sha256/one'])
    writeFileSync(join(folder, name), '{}');
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

describe('the folder of an OCI layout', () => {
  test('can have files and folders', async () => {
    await expect(checkLayoutFolder(folder)).resolves.toBeUndefined();
  });

  test.each(['blobs', 'index.json', 'blobs/sha256', 'blobs/sha256/one'])(
    'is refused where %s is a link that leads out of it',
    async (name) => {
      renameSync(join(folder, name), join(scratch, 'moved'));
      symlinkSync(join(scratch, 'moved'), join(folder, name));
      await expect(checkLayoutFolder(folder)).rejects.toMatchObject({
        code: 'validation-failed',
        message: expect.stringContaining('is not a file'),
      });
    },
  );

  test('with a pipe as a blob is refused, because a reader would block', async () => {
    execFileSync('mkfifo', [join(folder, 'blobs/sha256/pipe')]);
    await expect(checkLayoutFolder(folder)).rejects.toThrow('"pipe" in its folder is not a file');
  });

  test('with folders that are too deep or too many files is refused', async () => {
    mkdirSync(join(folder, 'a/b/c/d'), { recursive: true });
    await expect(checkLayoutFolder(folder)).rejects.toThrow('more than 4 deep');
    rmSync(join(folder, 'a'), { recursive: true });
    for (let index = 0; index < 10_000; index++) writeFileSync(join(folder, 'blobs', String(index)), '');
    await expect(checkLayoutFolder(folder)).rejects.toThrow('more than 10000 files');
  });
});
