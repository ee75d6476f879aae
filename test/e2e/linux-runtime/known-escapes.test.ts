import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const RUNC = '/usr/bin/runc';
const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const DESCRIPTORS = Array.from({ length: 30 }, (_, fd) => fd);

/** Known container escapes of other engines. `hostile-disks.test.ts` has those that need a crafted disk. */
real('a known container escape', () => {
  const host = new SharedLinuxHost('escapes');
  let secret: string;
  beforeAll(() => {
    secret = join(mkdtempSync(join(host.folder, 'outside-')), 'secret');
    writeFileSync(secret, 'secret of the host');
  });
  afterAll(() => rmSync(join(secret, '..'), { recursive: true, force: true }));
  const readSecret = () => `cat ${'../'.repeat(16)}${secret.slice(1)} 2>&1 || true`;

  test('fails: a working directory at a leaked descriptor (runc, CVE-2024-21626)', async () => {
    const one = container({ command: ['sleep', '600'], switchName: 'none' });
    await host.up(one);
    for (const fd of DESCRIPTORS) {
      const request = { command: ['sh', '-c', readSecret()], workingDir: `/proc/self/fd/${fd}` };
      const said = await runIn(host.runtime, one.id, request).then(
        ({ stdout }) => stdout,
        (error: Error) => error.message,
      );
      expect(said).not.toContain('secret of the host');
    }
  });

  test('fails: a main process whose working directory is a leaked descriptor', async () => {
    for (const fd of [6, 7, 8, 9]) {
      const one: AssignedContainer = container({
        command: ['sh', '-c', `${readSecret()}; sleep 600`],
        switchName: 'none',
      });
      const there = { ...one, spec: { ...one.spec, workingDir: `/proc/self/fd/${fd}` } };
      await host.up(there).catch(() => {});
      const log = await host.runtime.readLog(one.id, {});
      expect(JSON.stringify(log)).not.toContain('secret of the host');
    }
  });

  test('fails: runc overwritten through /proc/self/exe (CVE-2019-5736)', async () => {
    const before = hashOf(RUNC);
    const one = container({
      command: [
        'sh',
        '-c',
        'while :; do for p in /proc/[0-9]*; do case "$(readlink $p/exe)" in *runc*) echo x >> $p/exe; echo seen >> /seen;; esac; done; done 2>/dev/null',
      ],
      switchName: 'none',
    });
    await host.up(one);
    await host.sh(one, 'printf "#!/proc/self/exe\\n" > /bin/again; chmod 755 /bin/again');
    for (let times = 0; times < 10; times++)
      await runIn(host.runtime, one.id, { command: ['/bin/again'] }).catch(() => {});
    expect(hashOf(RUNC)).toBe(before);
    expect(await host.sh(one, 'echo still fine')).toBe('still fine');
  });
});
if (!possible) test.todo('cannot run on this machine');
