import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import type { LinuxDeps } from '../../../agent/runtimes/linux/deps.ts';
import type { ImageStore } from '../../../agent/runtimes/linux/image/image-store.ts';
import { ImageImporter } from '../../../agent/runtimes/linux/image/import-image.ts';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { tar } from '../../helpers/oci-image.ts';

jest.setTimeout(120_000);
const possible = await canHostLinux();
const MIB = 1024 * 1024;
/** The images' share, of which an import gets 284 MiB for unpacking. */
const SHARE_MB = 300;
const BOMB_BYTES = 400 * MIB;

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-archive-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Records all files that appear in the folder until it is called. */
const namesAppearingIn = (path: string): (() => string[]) => {
  const names: string[] = [];
  const watcher = watch(path, { persistent: false }, (_, name) => names.push(name ?? ''));
  return () => {
    watcher.close();
    return names;
  };
};

(possible ? describe : describe.skip)('an archive that unpacks to more than an import may take', () => {
  test.each([
    ['an OCI layout in a tar archive compressed with gzip', 'index.json'],
    ['a docker save archive compressed with gzip', 'manifest.json'],
  ])('fails within its bound, and leaves nothing: %s', async (_, first) => {
    const path = join(folder, first);
    const entries = [{ name: first, content: Buffer.from('[{}]') }];
    writeFileSync(
      path,
      gzipSync(tar([...entries, { name: 'zeros', content: Buffer.alloc(BOMB_BYTES) }]), { level: 1 }),
    );
    const layout = createLayout(join(folder, randomUUID()));
    mkdirSync(layout.images, { recursive: true });
    const deps = { layout, newId: randomUUID } as unknown as LinuxDeps;
    const importer = new ImageImporter(deps, {} as ImageStore, [folder], SHARE_MB);
    const appeared = namesAppearingIn('/var/tmp');
    const importing = importer.import({ name: 'bomb', source: { path } }, new AbortController().signal);
    await expect(importing).rejects.toThrow(/no space left on device|short write|unpacks to more than/);
    expect(appeared().filter((name) => /^(oci|docker-tar|storage)/.test(name))).toEqual([]);
    expect(readdirSync(join(layout.state, 'imports'))).toEqual([]);
    expect(readdirSync(layout.images)).toEqual([]);
  });
});
if (!possible) test.todo('cannot run on this machine');
