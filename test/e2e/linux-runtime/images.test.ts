import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { container } from '../../helpers/assigned-container.ts';
import { bring, canHostLinux, linuxHostFolder, openTestHost } from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';
import {
  busyboxLayer,
  ociLayout,
  type TarEntry,
  tar,
  writeDockerArchive,
  writeLayout,
  writeLayoutArchive,
} from '../../helpers/oci-image.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const scratch = mkdtempSync(join(tmpdir(), 'bulkhead-images-'));
const allowed = join(scratch, 'allowed');
mkdirSync(allowed);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const never = new AbortController().signal;

/** Remains of imports. The host may be creating a template at the same time, so the template's resources are excluded. */
const importsLeft = async (folder: string): Promise<string[]> => {
  const { files, loopDevices, mounts } = await findTraces(folder);
  return [...files, ...loopDevices, ...mounts].filter((one) => one.includes('/imports') || /^loop/.test(one));
};

real('images of a host', () => {
  const host = new SharedLinuxHost('images', { imageFolders: [allowed] });
  const importFrom = (path: string, name: string = randomUUID(), digest?: string) =>
    host.runtime.importImage({ name, source: { path }, ...(digest ? { digest } : {}) }, never);
  const removeImages = async () => {
    for (const name of await names()) if (name !== 'mini') await host.runtime.removeImage(name);
  };
  beforeAll(removeImages);
  afterEach(removeImages);
  const lines = async (id: string) => (await host.runtime.readLog(id, {})).items.map(({ text }) => text);
  const names = async () => (await host.runtime.images()).map(({ name }) => name);
  const of = (image: string, command?: string[]) =>
    container({ image, switchName: 'none', ...(command ? { command } : {}) });

  test.each([
    ['an archive of docker save', writeDockerArchive],
    ['an OCI layout', writeLayout],
    ['an OCI layout in a tar', writeLayoutArchive],
  ])('%s is imported, with its files and its settings for containers', async (what, write) => {
    const path = join(allowed, what.replaceAll(' ', '-'));
    const config = {
      Entrypoint: ['/bin/sh', '-c'],
      Cmd: ['cat /mark; echo $GREETING $PWD; exec sleep 600'],
      Env: ['GREETING=hello'],
      WorkingDir: '/bin',
    };
    const digest = write(path, { layers: [busyboxLayer(`from ${what}\n`)], config });
    const facts = await importFrom(path, 'team/app:1.2', digest);
    expect(facts).toMatchObject({ name: 'team/app:1.2', version: '1.2', digest, source: path });
    for (const runtimeType of ['Default', 'HyperV'] as const) {
      const one = { ...of('team/app:1.2'), runtimeType };
      await host.up(one);
      while ((await lines(one.id)).length < 2) await new Promise((done) => setTimeout(done, 20));
      expect(await lines(one.id)).toEqual([`from ${what}`, 'hello /bin']);
      const deep = { command: ['/bin/cat', '/deep/er/file'], user: '1000' };
      expect(await runIn(host.runtime, one.id, deep)).toMatchObject({ stdout: 'deep' });
      await bring(host.runtime, one.id, null, 'Absent');
    }
    await host.runtime.removeImage('team/app:1.2');
    expect(await names()).toEqual(['mini']);
  });

  test('an image whose digest differs from the requested one is refused', async () => {
    const path = join(allowed, 'pinned');
    const digest = writeLayout(path, { layers: [busyboxLayer('x')] });
    const wrong = `sha256:${'0'.repeat(64)}`;
    await expect(importFrom(path, 'pinned', wrong)).rejects.toThrow(`has the digest ${digest}, not ${wrong}`);
    expect(await names()).toEqual(['mini']);
  });

  test('a name can be moved to another digest; the old image is removed with its last container', async () => {
    const layouts = ['first', 'second'].map((mark) => {
      const path = join(allowed, mark);
      return { path, digest: writeLayout(path, { layers: [busyboxLayer(mark)] }) };
    });
    const [first, second] = layouts.map(({ path }) => path);
    await importFrom(first ?? '', 'App');
    const old = of('app', ['sleep', '600']);
    await host.up(old);
    await importFrom(second ?? '', 'APP:latest');
    const fresh = of('app', ['sleep', '600']);
    await host.up(fresh);
    expect([await host.sh(old, 'cat /mark'), await host.sh(fresh, 'cat /mark')]).toEqual(['first', 'second']);

    await host.off(old);
    await host.up(old);
    expect(await host.sh(old, 'cat /mark')).toBe('first');
    await host.up({ ...old, runtimeType: 'HyperV' });
    expect(await host.sh(old, 'cat /mark')).toBe('first');

    await expect(host.runtime.removeImage('app')).rejects.toMatchObject({ code: 'image-in-use' });
    const kept = () =>
      layouts.filter(({ digest }) =>
        execFileSync('ls', [join(host.folder, 'images')]).includes(digest.slice(7)),
      );
    expect(kept()).toHaveLength(2);
    await bring(host.runtime, old.id, null, 'Absent');
    expect(kept()).toHaveLength(1);
    await bring(host.runtime, fresh.id, null, 'Absent');
    await host.runtime.removeImage('app');
    expect(kept()).toEqual([]);
  });

  test('an image for another architecture is refused with its own error code', async () => {
    const path = join(allowed, 'arm');
    writeLayout(path, { layers: [busyboxLayer('x')], architecture: 'arm64' });
    await expect(importFrom(path)).rejects.toMatchObject({
      code: expect.stringMatching(/image-incompatible|step-failed/),
      message: expect.stringMatching(/arm64|architecture/),
    });
  });

  describe('an image from a path that the configuration does not allow', () => {
    const outside = join(scratch, 'allowed-not');
    writeLayout(outside, { layers: [busyboxLayer('x')] });
    symlinkSync(outside, join(allowed, 'leads-out'));
    symlinkSync('/etc', join(allowed, 'etc'));
    test.each([
      ['a path in another folder', outside],
      ['a path with ..', `${allowed}/../allowed-not`],
      ['a link that leads out', join(allowed, 'leads-out')],
      ['a file through a link that leads out', join(allowed, 'etc/passwd')],
      ['the folder itself', allowed],
      ['a missing file', join(allowed, 'nothing')],
      ['a missing file in another folder', '/nonexistent/at/all'],
    ])('%s is refused without details', async (_, path) => {
      await expect(importFrom(path)).rejects.toMatchObject({
        code: 'validation-failed',
        message: 'The agent’s configuration does not allow images from this path',
      });
    });
  });

  describe('a hostile image', () => {
    const hostile = (entries: readonly TarEntry[]) => {
      const path = join(allowed, randomUUID());
      writeLayout(path, { layers: [busyboxLayer('x'), tar(entries)] });
      return path;
    };
    const many = () => Array.from({ length: 500_001 }, (_, at) => ({ name: `f${at}` }));
    test.each<[string, () => readonly TarEntry[], RegExp]>([
      ['an absolute path', () => [{ name: '/etc/cron.d/x' }], /absolute path/],
      ['a path with ..', () => [{ name: 'a/../../x' }], /has the path/],
      [
        'a hard link out of the image',
        () => [{ name: 'x', kind: '1', link: '../../etc/shadow' }],
        /links to/,
      ],
      [
        'a symbolic link out of the image',
        () => [{ name: 'x', kind: '2', link: '../../etc' }],
        /outside the image/,
      ],
      ['more files than the limit', many, /more than 500000 files/],
    ])('with %s is refused, and leaves nothing', async (_, entries, expected) => {
      await expect(importFrom(hostile(entries()))).rejects.toMatchObject({
        code: 'validation-failed',
        message: expect.stringMatching(expected),
      });
      expect(await names()).toEqual(['mini']);
      expect(await importsLeft(host.folder)).toEqual([]);
    });

    test('a file through a link of an earlier layer stays in the image', async () => {
      const path = join(allowed, 'through');
      const layers = [
        busyboxLayer('x'),
        tar([{ name: 'out', kind: '2', link: scratch }]),
        tar([{ name: 'out/caught', content: Buffer.from('x') }]),
      ];
      writeLayout(path, { layers });
      await importFrom(path).catch(() => {});
      expect(execFileSync('ls', [scratch]).toString()).not.toContain('caught');
    });

    test.each(['Default', 'HyperV'] as const)(
      '%s: device nodes, setuid bits, capabilities and attributes of overlayfs in it give nothing',
      async (runtimeType) => {
        const content = readFileSync('/bin/busybox');
        // Version 3 of the format, effective, with every capability, for the user namespace of root.
        const capabilities = Buffer.from('01000003ffffffff00000000ff0100000000000000000000', 'hex');
        const overlay = { 'trusted.overlay.redirect': Buffer.from('/etc') };
        const path = hostile([
          { name: 'disk', kind: '4', device: [254, 0], mode: 0o666 },
          { name: 'memory', kind: '3', device: [1, 1], mode: 0o666 },
          { name: 'etc/passwd', content: Buffer.from('root:x:0:0::/:/bin/sh\n') },
          { name: 'set/id', content, mode: 0o6755 },
          { name: 'able/grep', content, attributes: { 'security.capability': capabilities } },
          { name: 'led/', kind: '5', attributes: { ...overlay, 'trusted.overlay.opaque': Buffer.from('y') } },
        ]);
        await importFrom(path, 'odd');
        const one = { ...of('odd', ['/bin/sleep', '600']), runtimeType };
        await host.up(one);
        const run = async (...command: string[]) => {
          const ran = await runIn(host.runtime, one.id, { command, user: '1000' }).catch((error: Error) => ({
            stdout: '',
            stderr: error.message,
          }));
          return ran.stdout + ran.stderr;
        };
        for (const name of ['/disk', '/memory'])
          expect(await host.sh(one, `/bin/busybox head -c 1 ${name} 2>&1 || true`)).toMatch(
            /denied|permitted/,
          );
        expect(await run('/set/id', '-u')).toBe('1000\n');
        // The kernel refuses a program with capabilities that it cannot get, or runs it without.
        expect(await run('/able/grep', 'CapEff', '/proc/self/status')).toMatch(/0{16}|permitted/);
        expect(await host.sh(one, '/bin/busybox ls -A /led')).toBe('');
        await bring(host.runtime, one.id, null, 'Absent');
      },
    );

    test('an archive with a link out of it and a file through that link writes nothing on the host', async () => {
      const path = join(allowed, 'archive-through');
      const { files } = ociLayout({ layers: [busyboxLayer('x')] });
      const through = [
        { name: 'out', kind: '2' as const, link: scratch },
        { name: 'out/written', content: Buffer.from('x') },
      ];
      writeFileSync(path, tar([...through, ...[...files].map(([name, content]) => ({ name, content }))]));
      await importFrom(path).catch(() => {});
      expect(readdirSync(scratch)).not.toContain('written');
    });

    test.each([
      ['text instead of an image', Buffer.from('hello')],
      ['an empty file', Buffer.alloc(0)],
      ['a tar archive without an image', tar([{ name: 'x', content: Buffer.from('x') }])],
    ])('%s is refused', async (what, bytes) => {
      const path = join(allowed, what.replaceAll(' ', '-'));
      writeFileSync(path, bytes);
      await expect(importFrom(path)).rejects.toThrow(/image/);
    });
  });

  test('a cancelled import leaves no files', async () => {
    const path = join(allowed, 'given-up');
    writeLayout(path, { layers: [busyboxLayer('x')] });
    const giveUp = new AbortController();
    const importing = host.runtime.importImage({ name: 'given-up', source: { path } }, giveUp.signal);
    setImmediate(() => giveUp.abort(new TypeError('never mind')));
    await expect(importing).rejects.toThrow('never mind');
    expect(await importsLeft(host.folder)).toEqual([]);
  });
});

real('a host whose agent was killed while it imported', () => {
  test('starts and removes the interrupted import', async () => {
    const folder = linuxHostFolder('images-killed');
    const work = join(folder, 'imports', randomUUID());
    mkdirSync(work, { recursive: true });
    writeFileSync(`${work}.ext4`, '');
    truncateSync(`${work}.ext4`, 16 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', '-F', `${work}.ext4`]);
    execFileSync('mount', ['-o', 'loop', `${work}.ext4`, work]);
    writeFileSync(join(work, 'half'), 'x');
    const runtime = await openTestHost(folder);
    expect(await importsLeft(folder)).toEqual([]);
    await runtime.shutDown();
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });
});
if (!possible) test.todo('cannot run on this machine');
