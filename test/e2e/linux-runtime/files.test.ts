import { execFileSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import type { Log } from '../../../agent/log.ts';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const DIRECTIONS: readonly (readonly [RuntimeType, RuntimeType])[] = [
  ['Default', 'HyperV'],
  ['HyperV', 'Default'],
];
const IDLE = ['sleep', '600'];

/** Creates all kinds of files and attributes, new ones and replacements of the image's files. */
const WRITE = `
set -e
mkdir -p /work/deep/er; cd /work
echo one > file; ln file hard; ln -s file soft; ln -s /nowhere dangling; mkfifo pipe
chown 1234:4321 file; chmod 4751 file; chown -h 77:88 soft; chmod 1777 deep; chmod 0 deep/er
: > 'a name with  blanks'; : > "ünï"; touch -d '2001-02-03 04:05:06' ünï
printf tail | dd of=sparse bs=1 seek=50000000 2>/dev/null
dd if=/dev/urandom of=large bs=64k count=40 2>/dev/null
echo two >> /etc/group; chown 5:6 /etc/os-release; rm /etc/passwd
rm -r /var/log; mkdir /var/log; echo fresh > /var/log/only
rm -r /usr; mv /var /moved
/probe set-attribute file user.colour blue
/probe set-attribute deep user.shape round`;

const DESCRIBE = `
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /bin -o -path /etc/hosts -o -path /etc/hostname -o -name probe \\) -prune -o -print |
  sort | while read -r path; do
    stat -c '%N %F %a %u:%g %Y %t,%T' "$path"
    [ -d "$path" ] || stat -c '  links %h size %s' "$path"
    [ -f "$path" ] && sha256sum < "$path"
  done
/probe get-attribute /work/file user.colour; /probe get-attribute /work/deep user.shape
[ /work/file -ef /work/hard ] && echo same inode
du -k /work/sparse | cut -f1`;

real('files of a container in both runtime types', () => {
  const checks: { containerId: unknown; exitCode: unknown }[] = [];
  const log: Log = {
    debug: () => {},
    warn: () => {},
    error: () => {},
    info: (message, { containerId, exitCode } = {}) => {
      if (message === 'checked a writable layer') checks.push({ containerId, exitCode });
    },
  };
  const host = new SharedLinuxHost('files', { log });
  const scratchOf = ({ id }: AssignedContainer) => containerPaths(createLayout(host.folder), id).scratch;
  const checksOf = ({ id }: AssignedContainer) =>
    checks.filter(({ containerId }) => containerId === id).map(({ exitCode }) => exitCode);
  const killVm = async ({ id }: AssignedContainer) => {
    process.kill((await inspectContainer(host.runtime, id))?.workerProcess?.pid ?? 0, 'SIGKILL');
    await until(async () => (await inspectContainer(host.runtime, id))?.process?.running === false);
  };

  test.each(DIRECTIONS)(
    'files written as %s are the same as %s, and after a conversion back',
    async (from, to) => {
      const one = container({ runtimeType: from, command: IDLE, switchName: 'none' });
      await host.up(one);
      await host.putProbe(one);
      await host.sh(one, WRITE);
      const before = await host.sh(one, DESCRIBE);
      for (const expected of [
        'same inode',
        '626c7565',
        '726f756e64',
        "'/work/soft' -> 'file'",
        '4751 1234:4321',
      ])
        expect(before).toContain(expected);
      for (const gone of ['/etc/passwd', '/usr', '/var']) expect(before).not.toContain(`${gone} `);

      await host.up({ ...one, runtimeType: to });
      expect((await inspectContainer(host.runtime, one.id))?.runtimeType).toBe(to);
      expect(await host.sh(one, DESCRIBE)).toBe(before);

      // Files of one type can be changed under the other, including deleted and moved files.
      await host.sh(
        one,
        'echo three >> /work/hard; echo again > /etc/passwd; rm /work/soft; mkdir /usr; echo x > /moved/x',
      );
      const changed = await host.sh(one, DESCRIBE);
      await host.up(one);
      expect(await host.sh(one, DESCRIBE)).toBe(changed);
    },
  );

  test.each(DIRECTIONS)(
    '%s: a user other than root can read files that root creates',
    async (runtimeType) => {
      const one = container({
        runtimeType,
        command: ['sh', '-c', 'echo main > /main; sleep 600'],
        switchName: 'none',
      });
      await host.up(one);
      await host.sh(one, 'echo beside > /beside');
      const asNobody = {
        command: ['sh', '-c', 'umask; until cat /main; do :; done; cat /beside'],
        user: 'nobody',
      };
      expect(await runIn(host.runtime, one.id, asNobody)).toMatchObject({ stdout: '0022\nmain\nbeside\n' });
    },
  );

  test('a disk that was unmounted cleanly is not checked', async () => {
    const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
    await host.up(one);
    await host.sh(one, 'echo kept > /kept');
    await host.off(one);
    await host.up(one);
    expect(await host.sh(one, 'cat /kept')).toBe('kept');
    expect(checksOf(one)).toEqual([]);
  });

  test.each<RuntimeType>(['HyperV', 'Default'])(
    'the disk of a VM that was killed while it wrote is checked and repaired before it is mounted as %s',
    async (next) => {
      const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
      await host.up(one);
      await host.sh(one, 'mkdir /safe; echo kept > /safe/file; echo lost > /victim');
      // More files and a new mount follow, so that the journal has no copy of the file's inode to restore.
      await host.sh(one, 'for i in $(seq 64); do : > /after$i; done');
      await host.off(one);
      await host.up(one);
      const writing = runIn(host.runtime, one.id, {
        command: ['sh', '-c', 'while :; do dd if=/dev/zero of=/noise bs=64k count=64; sync; rm /noise; done'],
      });
      writing.catch(() => {});
      await host.sh(one, 'until [ -e /noise ]; do :; done');
      await killVm(one);
      await writing.catch(() => {});
      // Damage as on a partially written disk: a name without an inode.
      execFileSync('debugfs', ['-w', '-R', 'clri /upper/victim', scratchOf(one)], { stdio: 'ignore' });
      await host.up({ ...one, runtimeType: next });
      expect(checksOf(one)[0]).toBe(1);
      expect(await host.sh(one, 'ls /')).not.toContain('victim');
      expect(await host.sh(one, 'cat /safe/file')).toBe('kept');
      execFileSync('e2fsck', ['-fn', scratchOf(one)], { stdio: 'ignore' });
    },
  );

  test('a disk that cannot be repaired fails the start with a reason and is unchanged', async () => {
    const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
    await host.up(one);
    await killVm(one);
    truncateSync(scratchOf(one), 4096);
    const blocks = ((one.spec.resources.diskMB ?? 0) * 1024 * 1024) / 4096;
    await expect(host.up(one)).rejects.toThrow(`was not mounted: it has ${blocks} blocks`);
    expect(await inspectContainer(host.runtime, one.id)).toMatchObject({
      writableLayer: true,
      disksAttached: false,
      layersMounted: false,
    });
  });

  test('a layer has at most one holder', async () => {
    const one = container({ runtimeType: 'HyperV', command: IDLE, switchName: 'none' });
    await host.up(one);
    const other = { ...one, runtimeType: 'Default' as const };
    await expect(host.runtime.mountLayers(other, new AbortController().signal)).rejects.toMatchObject({
      code: 'invalid-state',
      message: expect.stringContaining('in use'),
    });
    expect(await host.sh(one, 'echo still here')).toBe('still here');
  });
});
if (!possible) test.todo('cannot run on this machine');
