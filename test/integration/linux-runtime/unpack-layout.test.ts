import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readLayout } from '../../../agent/runtimes/linux/image/oci-layout.ts';
import { unpackLayout } from '../../../agent/runtimes/linux/image/unpack-layout.ts';
import { busyboxLayer, ociLayout, type TarEntry, tar } from '../../helpers/oci-image.ts';

const LIMITS = { bytes: 64 * 1024 * 1024, entries: 1_000 };
const { signal } = new AbortController();
let scratch: string;
let outside: string;
let folder: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'unpack-'));
  outside = join(scratch, 'outside');
  folder = join(scratch, 'unpacked');
  mkdirSync(outside);
  writeFileSync(join(outside, 'kept'), 'kept');
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const layout = (): TarEntry[] =>
  [...ociLayout({ layers: [busyboxLayer('x')] }).files].map(([name, content]) => ({ name, content }));
const archive = (bytes: Buffer): string => {
  const path = join(scratch, 'archive');
  writeFileSync(path, bytes);
  return path;
};

describe('an OCI layout in a tar archive', () => {
  test.each([
    ['uncompressed', (bytes: Buffer) => bytes],
    ['compressed with gzip', (bytes: Buffer) => gzipSync(bytes)],
  ])('is unpacked, %s', async (_, pack) => {
    await unpackLayout(archive(pack(tar(layout()))), folder, LIMITS, signal);
    const image = await readLayout(folder);
    expect(image.manifestDigest).toBe(ociLayout({ layers: [busyboxLayer('x')] }).digest);
    expect(image.layers.every((layer) => existsSync(layer))).toBe(true);
  });

  test.each<[string, () => readonly TarEntry[]]>([
    [
      'a file through an absolute link',
      () => [
        { name: 'x', kind: '2', link: outside },
        { name: 'x/written', content: Buffer.from('x') },
      ],
    ],
    [
      'a blob in a folder that is a link',
      () => [
        { name: 'blobs', kind: '2', link: outside },
        { name: 'blobs/sha256', kind: '2', link: outside },
        { name: `blobs/sha256/${'0'.repeat(64)}`, content: Buffer.from('x') },
      ],
    ],
    [
      'a layout file that is a link',
      () => [
        { name: 'oci-layout', kind: '2', link: join(outside, 'kept') },
        { name: 'oci-layout', content: Buffer.from('x') },
      ],
    ],
    ['a hard link', () => [{ name: 'index.json', kind: '1', link: join(outside, 'kept') }]],
    ['a path with ..', () => [{ name: '../outside/written', content: Buffer.from('x') }]],
    ['a device', () => [{ name: 'index.json', kind: '3', device: [1, 3] }]],
  ])('with %s writes nothing outside its folder', async (_, entries) => {
    await unpackLayout(archive(tar(entries())), folder, LIMITS, signal);
    expect(readdirSync(outside)).toEqual(['kept']);
    expect(readFileSync(join(outside, 'kept'), 'utf8')).toBe('kept');
    const found = readdirSync(folder, { recursive: true, withFileTypes: true });
    expect(found.filter((entry) => !entry.isFile() && !entry.isDirectory())).toEqual([]);
  });

  test('is refused above the limits, and if it is no archive', async () => {
    const large = archive(tar(layout()));
    await expect(unpackLayout(large, folder, { ...LIMITS, bytes: 1_000 }, signal)).rejects.toThrow(
      'unpacks to more than',
    );
    await expect(unpackLayout(archive(Buffer.from('text')), folder, LIMITS, signal)).rejects.toMatchObject({
      code: 'validation-failed',
    });
  });

  test('is no longer unpacked once the import is cancelled', async () => {
    const cancelled = AbortSignal.abort(new TypeError('never mind'));
    await expect(unpackLayout(archive(tar(layout())), folder, LIMITS, cancelled)).rejects.toThrow(
      'never mind',
    );
  });
});
