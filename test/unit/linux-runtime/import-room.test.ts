import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { LinuxDeps } from '../../../agent/runtimes/linux/deps.ts';
import type { ImageStore } from '../../../agent/runtimes/linux/image/image-store.ts';
import { ImageImporter, withoutAnswers } from '../../../agent/runtimes/linux/image/import-image.ts';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';

const MIB = 1024 * 1024;
const { signal } = new AbortController();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('an import of an image', () => {
  test('is refused before any write if the images’ share of the disk is too small', async () => {
    const layout = createLayout(folder);
    mkdirSync(layout.images, { recursive: true });
    writeFileSync(join(layout.images, 'sha256.squashfs'), Buffer.alloc(40 * MIB, 1));
    const deps = { layout, newId: () => 'one' } as unknown as LinuxDeps;
    const importer = new ImageImporter(deps, {} as ImageStore, ['/'], 300);
    const request = { name: 'large', source: { path: '/large.tar' } };
    await expect(importer.import(request, signal)).rejects.toMatchObject({
      message: 'The host has too little disk space for another image: 260 MiB of 300 MiB are free',
      suggestion: expect.stringContaining('Remove images'),
    });
    expect(readdirSync(folder)).toEqual(['images']);
  });

  // As skopeo 1.9 has them, after a registry has redirected it to a service in the host's network.
  test.each([
    [
      'reading manifest 1 in registry.example.com/x: StatusCode: 404, secret\nof a service"',
      'reading manifest 1 in registry.example.com/x: StatusCode: 404',
    ],
    [
      'error parsing HTTP 403 response body: invalid character \'s\': "secret"',
      'error parsing HTTP 403 response body not shown',
    ],
    ['pinging container registry: connection refused', 'pinging container registry: connection refused'],
  ])('fails without the content of an answer: %j', (messages, shown) => {
    expect(withoutAnswers(messages)).toBe(shown);
  });
});
