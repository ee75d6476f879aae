import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
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
const allowed = mkdtempSync(join(tmpdir(), 'bulkhead-users-'));
mkdirSync(allowed, { recursive: true });
afterAll(() => rmSync(allowed, { recursive: true, force: true }));
const never = new AbortController().signal;

/** Invalid entries: ids that are too large, signs, empty fields, a long line, and a missing newline. */
const PASSWD = [
  '+::0:0:::',
  'wraps:x:4294967296:4294967296::/:',
  'minus:x:-1:-1::/:',
  'empty:x:::::',
  'half:x',
  `${'long'.repeat(1 << 13)}:x:0:0::/:`,
  'root:x:0:0:root:/root:/bin/sh',
  'app:x:1000:1000:An app:/home/app:/bin/sh',
].join('\n');
const GROUP = 'root:x:0:\napp:x:1000:\nstaff:x:50:daemon,app\nbig:x:4294967296:app\nwheel:x:10:approx\n';

const text = (name: string, content: string): TarEntry => ({
  name,
  content: Buffer.from(content),
  mode: 0o644,
});
const accounts = tar([text('etc/passwd', PASSWD), text('etc/group', GROUP)]);
const applets = tar([{ name: 'bin/id', kind: '2', link: 'busybox' }]);

real('users of an image', () => {
  const host = new SharedLinuxHost('users-of-images', { imageFolders: [allowed] });
  const importImage = async (name: string, layer: Buffer, config: object) => {
    const path = join(allowed, randomUUID());
    writeLayout(path, {
      layers: [busyboxLayer('x'), applets, layer],
      config: { Cmd: ['/bin/sleep', '600'], ...config },
    });
    await host.runtime.importImage({ name, source: { path } }, never);
  };
  beforeAll(async () => {
    const config = { User: 'app', WorkingDir: '/srv/app', Env: ['GREETING=hello', 'PATH=/bin'] };
    await importImage('accounts', accounts, config);
    await importImage('bare', tar([]), { User: '1000' });
    await importImage('wrapping', accounts, { User: '4294967296' });
    await importImage(
      'linked',
      tar([{ name: 'etc/passwd', kind: '2', link: '/proc/1/root/etc/passwd' }]),
      {},
    );
  });
  afterAll(async () => {
    for (const name of ['accounts', 'bare', 'wrapping', 'linked']) await host.runtime.removeImage(name);
  });
  const of = (image: string, runtimeType: RuntimeType) =>
    container({ image, runtimeType, switchName: 'none', command: undefined as never });
  const id = async (containerId: string, user?: string) =>
    (await runIn(host.runtime, containerId, { command: ['/bin/id'], user })).stdout
      .trim()
      .replaceAll(/\(\w+\)/g, '');

  describe.each<RuntimeType>(['Default', 'HyperV'])('%s', (runtimeType) => {
    test('exec uses the image’s user, groups, environment and working directory, like the main process', async () => {
      const one = of('accounts', runtimeType);
      await host.up(one);
      const [main] = await host.runtime.listProcesses(one.id);
      expect(main).toMatchObject({ pid: 1, userName: 'app' });
      expect(await id(one.id)).toBe('uid=1000 gid=1000 groups=50');
      const seen = await runIn(host.runtime, one.id, {
        command: ['/bin/sh', '-c', 'echo $GREETING $PWD $HOME'],
      });
      expect(seen.stdout).toBe('hello /srv/app /home/app\n');
    });

    test.each([
      ['0', 'uid=0 gid=0'],
      ['1000', 'uid=1000 gid=1000 groups=50'],
      ['app:staff', 'uid=1000 gid=50'],
      ['app:77', 'uid=1000 gid=77'],
      ['4242', 'uid=4242 gid=0'],
      ['4242:4243', 'uid=4242 gid=4243'],
    ])('exec as %s', async (user, expected) => {
      const one = of('accounts', runtimeType);
      await host.up(one);
      const seen = await id(one.id, user);
      expect(seen === expected || seen === `${expected} groups=${/gid=(\d+)/.exec(expected)?.[1]}`).toBe(
        true,
      );
    });

    test.each(['wraps', 'minus', 'empty', 'half', '+1000', '-1', ' 1000', 'app:big', 'app:nobody'])(
      'exec as %j is refused',
      async (user) => {
        const one = of('accounts', runtimeType);
        await host.up(one);
        await expect(id(one.id, user)).rejects.toThrow('the container has no user or group');
      },
    );

    test('an id needs no passwd file; a name or an id that is too large is refused', async () => {
      const bare = of('bare', runtimeType);
      await host.up(bare);
      expect(await id(bare.id)).toMatch(/^uid=1000 gid=0/);
      expect(await id(bare.id, '0')).toMatch(/^uid=0 gid=0/);
      await expect(id(bare.id, 'root')).rejects.toThrow('no user or group "root"');
      await expect(host.up(of('wrapping', runtimeType))).rejects.toThrow('"4294967296" is not a valid user');
    });

    test('a passwd file that is a link out of the container is not followed', async () => {
      const one = of('linked', runtimeType);
      await host.up(one);
      await expect(id(one.id, 'daemon')).rejects.toThrow('no user or group "daemon"');
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
