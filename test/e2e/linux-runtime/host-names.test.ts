import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { busyboxLayer, type TarEntry, tar, writeLayout } from '../../helpers/oci-image.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const allowed = mkdtempSync(join(tmpdir(), 'bulkhead-host-names-'));
afterAll(() => rmSync(allowed, { recursive: true, force: true }));

const applets = tar(
  ['hostname', 'stat', 'nslookup', 'ping', 'seq', 'tail', 'wc'].map((name) => ({
    name: `bin/${name}`,
    kind: '2' as const,
    link: 'busybox',
  })),
);
const link = (name: string, to: string): TarEntry => ({ name, kind: '2', link: to });
/**
 * Users other than root could not read these files with a strict umask: https://github.com/containerd/nerdctl/issues/3704,
 * https://github.com/moby/moby/pull/13346. The root file systems of Ubuntu have a link to a folder that an image lacks.
 */
const LAYERS = {
  'without-etc': tar([]),
  'with-files': tar([
    { name: 'etc/hosts', content: Buffer.from('192.0.2.1 old\n'), mode: 0o600 },
    { name: 'etc/hostname', content: Buffer.from('old\n'), mode: 0o600 },
    { name: 'etc/resolv.conf', content: Buffer.from('nameserver 192.0.2.1\n'), mode: 0o600 },
  ]),
  'with-links': tar([
    link('etc/resolv.conf', '../run/systemd/resolve/stub-resolv.conf'),
    link('etc/hosts', '/var/lib/hosts'),
    link('etc/hostname', 'own/name'),
  ]),
};
const IMAGES = Object.keys(LAYERS) as (keyof typeof LAYERS)[];

real('the names that a container finds', () => {
  const host = new SharedLinuxHost('host-names', { imageFolders: [allowed] });
  beforeAll(async () => {
    for (const image of IMAGES) {
      const path = join(allowed, randomUUID());
      const config = { Cmd: ['/bin/sleep', '600'], User: '1000' };
      writeLayout(path, { layers: [busyboxLayer('x'), applets, LAYERS[image]], config });
      await host.runtime.importImage({ name: image, source: { path } }, new AbortController().signal);
    }
  });
  afterAll(async () => {
    for (const image of IMAGES) await host.runtime.removeImage(image);
  });
  const as = async (user: string, id: string, script: string) => {
    const { exitCode, stdout, stderr } = await runIn(host.runtime, id, {
      user,
      command: ['/bin/sh', '-c', script],
    });
    return { exitCode, said: `${stdout}${stderr}`.trimEnd() };
  };

  describe.each<RuntimeType>(['Default', 'HyperV'])('%s', (runtimeType) => {
    test.each(IMAGES)(
      'of an image %s: every user reads them, and the container finds itself',
      async (image) => {
        const one = container({ image, runtimeType });
        await host.up(one);
        const name = one.id.replaceAll('-', '').slice(0, 12);
        const { said } = await as('1000', one.id, 'hostname; cat /etc/hostname /etc/hosts');
        const [, , ...hosts] = said.split('\n');
        expect(said.split('\n').slice(0, 2)).toEqual([name, name]);
        expect(hosts).toEqual([
          '127.0.0.1\tlocalhost',
          '::1\tlocalhost ip6-localhost ip6-loopback',
          expect.stringMatching(new RegExp(`^10\\.[0-9.]+\\t${name} ${one.name}$`)),
        ]);
        const { said: resolver } = await as('1000', one.id, 'cat /etc/resolv.conf');
        expect(resolver).toMatch(/^nameserver 10\./);
        for (const target of [name, one.name])
          expect(await as('0', one.id, `ping -c 1 -w 10 ${target} >/dev/null`)).toEqual({
            exitCode: 0,
            said: '',
          });
      },
    );

    test('without a network, the container finds itself on its loopback', async () => {
      const one = container({ image: 'without-etc', runtimeType, switchName: 'none' });
      await host.up(one);
      const seen = await as('0', one.id, 'ping -c 1 -w 10 $(hostname) >/dev/null; cat /etc/resolv.conf');
      expect(seen.said).toBe("cat: can't open '/etc/resolv.conf': No such file or directory");
    });

    test('root changes them until the next start, within a limit', async () => {
      const one = container({ image: 'without-etc', runtimeType });
      await host.up(one);
      expect(await as('1000', one.id, 'echo x >> /etc/hosts')).toMatchObject({ exitCode: 1 });
      expect(await as('0', one.id, 'echo 192.0.2.9 more >> /etc/hosts; tail -n 1 /etc/hosts')).toEqual({
        exitCode: 0,
        said: '192.0.2.9 more',
      });
      const { said } = await as('0', one.id, 'seq 100000 > /etc/hostname 2>/dev/null; wc -c < /etc/hostname');
      expect(Number(said)).toBeLessThanOrEqual(64 * 1024);
      await host.off(one);
      await host.up(one);
      expect((await as('0', one.id, 'cat /etc/hosts')).said).not.toContain('192.0.2.9');
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
