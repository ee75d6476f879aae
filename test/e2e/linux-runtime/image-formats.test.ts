import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { container } from '../../helpers/assigned-container.ts';
import { bring, canHostLinux } from '../../helpers/linux-host.ts';
import {
  busyboxLayer,
  writeDockerArchive,
  writeLayout,
  writeLayoutArchive,
} from '../../helpers/oci-image.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const allowed = mkdtempSync(join(tmpdir(), 'bulkhead-image-formats-'));
afterAll(() => rmSync(allowed, { recursive: true, force: true }));

const PARTS = { layers: [busyboxLayer('x')], config: { Cmd: ['/bin/sleep', '600'] } };
const newPath = (): string => join(allowed, randomUUID());
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

type Write = (path: string, parts: typeof PARTS) => unknown;
const written = (write: Write): string => {
  const path = newPath();
  write(path, PARTS);
  return path;
};
const compressed = (write: Write, compress: (data: Buffer) => Buffer): string => {
  const path = newPath();
  writeFileSync(path, compress(readFileSync(written(write))));
  return path;
};
/** As made by `tar -C folder .`: names begin with `./`. */
const dotted = (write: Write): string => {
  const [folder, path] = [newPath(), newPath()];
  mkdirSync(folder);
  execFileSync('tar', ['-xf', written(write), '-C', folder]);
  execFileSync('tar', ['-cf', path, '-C', folder, '.']);
  return path;
};

/** An OCI layout whose layer has that content and that media type. */
const layoutWith = (layer: Buffer, mediaType: string): string => {
  const path = newPath();
  mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
  const blob = (type: string, data: Buffer) => {
    writeFileSync(join(path, 'blobs/sha256', sha256(data)), data);
    return {
      mediaType: `application/vnd.oci.image.${type}`,
      digest: `sha256:${sha256(data)}`,
      size: data.length,
    };
  };
  const [plain = Buffer.alloc(0)] = PARTS.layers;
  const rootfs = { type: 'layers', diff_ids: [`sha256:${sha256(plain)}`] };
  const config = { architecture: 'amd64', os: 'linux', config: PARTS.config, rootfs };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: blob('config.v1+json', Buffer.from(JSON.stringify(config))),
    layers: [blob(mediaType, layer)],
  };
  const manifests = [blob('manifest.v1+json', Buffer.from(JSON.stringify(manifest)))];
  writeFileSync(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return path;
};
const [LAYER = Buffer.alloc(0)] = PARTS.layers;

/**
 * Sources: https://github.com/lxc/incus/issues/1838 (umoci and zstd), https://github.com/podman-container-tools/skopeo/issues/2782
 * (names of archives), https://github.com/moby/moby/pull/14637 (compressed archives).
 */
const ACCEPTED: Readonly<Record<string, () => string>> = {
  'an archive of docker save with gzip': () => compressed(writeDockerArchive, gzipSync),
  'an archive of docker save with zstd': () => compressed(writeDockerArchive, zstdCompressSync),
  'an archive of docker save with names that begin with ./': () => dotted(writeDockerArchive),
  'an OCI layout in a tar with gzip': () => compressed(writeLayoutArchive, gzipSync),
  'an OCI layout in a tar with names that begin with ./': () => dotted(writeLayoutArchive),
  'a layer with zstd': () => layoutWith(zstdCompressSync(LAYER), 'layer.v1.tar+zstd'),
  'a layer without compression': () => layoutWith(LAYER, 'layer.v1.tar'),
  'a layer with gzip and the media type of none': () => layoutWith(gzipSync(LAYER), 'layer.v1.tar'),
  'a layer with zstd and the media type of gzip': () =>
    layoutWith(zstdCompressSync(LAYER), 'layer.v1.tar+gzip'),
};

const text = (content: string | Buffer) => (): string => {
  const path = newPath();
  writeFileSync(path, content);
  return path;
};
const REFUSED: Readonly<Record<string, readonly [make: () => string, reason: string]>> = {
  'a text': [text('hello'), 'it cannot be unpacked'],
  'an empty file': [text(''), 'it is neither an OCI layout nor an archive of docker save'],
  'a tar archive of something else': [
    text(LAYER),
    'it is neither an OCI layout nor an archive of docker save',
  ],
  'a truncated archive': [
    () => {
      const path = written(writeDockerArchive);
      writeFileSync(path, readFileSync(path).subarray(0, 100_000));
      return path;
    },
    'it cannot be unpacked',
  ],
  'an archive of two images': [
    () => {
      const [folder, path] = [newPath(), newPath()];
      mkdirSync(folder);
      execFileSync('tar', ['-xf', written(writeDockerArchive), '-C', folder]);
      const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
      writeFileSync(join(folder, 'manifest.json'), JSON.stringify([...manifest, ...manifest]));
      execFileSync('sh', ['-c', 'cd "$1" && tar -cf "$2" *', 'sh', folder, path]);
      return path;
    },
    'it has 2 images. Save one image to an archive.',
  ],
  'a layout without an image': [
    () => {
      const path = written(writeLayout);
      writeFileSync(join(path, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
      return path;
    },
    'it has 0 images. Export one image.',
  ],
  'a layout whose index is not JSON': [
    () => {
      const path = written(writeLayout);
      writeFileSync(join(path, 'index.json'), '{');
      return path;
    },
    'it is neither an OCI layout nor an archive of docker save',
  ],
};

real('the format of an image', () => {
  const host = new SharedLinuxHost('image-formats', { imageFolders: [allowed] });
  const importFrom = (path: string) =>
    host.runtime.importImage({ name: 'app', source: { path } }, new AbortController().signal);

  test.each(Object.keys(ACCEPTED))('%s is accepted', async (what) => {
    await importFrom(ACCEPTED[what]?.() ?? '');
    const one = container({ image: 'app', switchName: 'none' });
    await host.up(one);
    expect(await host.sh(one, 'cat /mark')).toBe('x');
    await bring(host.runtime, one.id, null, 'Absent');
    await host.runtime.removeImage('app');
  });

  test.each(Object.keys(REFUSED))('%s is refused with a reason', async (what) => {
    const [make, reason] = REFUSED[what] ?? [() => '', ''];
    await expect(importFrom(make())).rejects.toMatchObject({
      code: 'validation-failed',
      message: `The image is refused: ${reason}`,
    });
  });

  test('a layer that cannot be unpacked is refused without the form and the paths of other programs', async () => {
    const broken = Buffer.concat([gzipSync(LAYER).subarray(0, -8), Buffer.alloc(8)]);
    const error = await importFrom(layoutWith(broken, 'layer.v1.tar+gzip')).catch(({ message }) => message);
    expect(error).not.toMatch(/level=|time=|⨯|\/imports\//u);
    expect(error).toMatch(/^The image /);
  });
});
if (!possible) test.todo('cannot run on this machine');
