import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { probeProgram, SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET. */
const FAMILIES = [1, 2, 10, 16, 17];

/**
 * Resources that the kernel shares between all namespaces. A Default container must neither exhaust them nor use them
 * to escape.
 */
real('a Default container on the kernel of its host', () => {
  const host = new SharedLinuxHost('shared-kernel');
  const up = async (switchName = 'none'): Promise<AssignedContainer> => {
    const one = container({ command: ['sleep', '600'], switchName });
    await host.up(one);
    await host.putProbe(one);
    return one;
  };

  test('can open only sockets of its network namespace, with any form of the call', async () => {
    const one = await up();
    const said = await host.sh(one, '/probe sockets');
    const reached = said.split(' ').map((entry) => entry.split(':').map(Number));
    for (const [family = 0, ways] of reached) {
      expect(FAMILIES).toContain(family);
      // Bits for 64-bit and 32-bit calls, without `socketcall`. The kernel ignores bits above the low 32.
      expect([1, 3, 8, 9, 11]).toContain(ways);
    }
    expect(reached.map(([family]) => family)).toEqual(expect.arrayContaining([1, 2, 16, 17]));
  });

  test('cannot load a module through a protocol, or allocate uncharged memory through packet rings', async () => {
    const one = await up();
    expect(await host.sh(one, '/probe modules')).toBe(
      '2/1:0,1,6,17,58,262, 2/2:0,1,6,17,58,262, 2/5: 2/6: 10/1:0,1,6,17,58,262, 16/3:0,4,9,15, ' +
        'ring 00 discipline 0 ring 00 discipline 0 uring 0',
    );
  });

  test('cannot set a core dump limit that starts the host’s handler', async () => {
    const one = await up();
    // Both calls succeed, but the limit stays at one byte. The process can change its other limits.
    expect(await host.sh(one, '/probe core')).toBe('0 0 1 1 files 64');
    expect(await host.sh(one, 'ulimit -c 0; sed -n "s/^Max core file size *//p" /proc/self/limits')).toMatch(
      /^1 +1 /,
    );
  });

  test('does not use up the inotify instances of the host’s root', async () => {
    const one = await up();
    const process = await host.runtime.startExec(one.id, { command: ['/probe', 'inotify', '5000'] });
    const said = new Promise<string>((resolve) =>
      process.onOutput((_, data) => {
        process.consumed(data.length);
        resolve(data.toString());
      }),
    );
    expect(await said).toMatch(/Too many open files|all/);
    expect(execFileSync(probeProgram(), ['inotify', '20'], { input: '' }).toString()).toBe('20 all\n');
    process.endInput();
    expect(await process.exited).toBe(0);
  });

  test('adds no entries to the kernel’s neighbor table', async () => {
    const one = await up('NAT');
    const namespace = readdirSync('/run/netns').find((name) => name.endsWith(one.id)) ?? '';
    const { exitCode, stdout } = await runIn(host.runtime, one.id, {
      command: ['/probe', 'ask-neighbours', '4000'],
    });
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^sent [1-9]/)]);
    const list = ['-n', namespace, '-json', 'neighbour', 'show', 'nud', 'all'];
    const neighbours = JSON.parse(execFileSync('ip', list).toString()) as { dst: string; state: string[] }[];
    // The kernel evicts `NOARP` entries immediately if it needs space.
    const asked = neighbours.filter(({ state }) => !['NOARP', 'PERMANENT'].includes(state[0] ?? ''));
    expect(asked).toEqual([]);
    expect(await host.sh(one, 'cut -d " " -f 1,6- /proc/net/if_inet6')).not.toContain('eth0');
    expect(await host.sh(one, 'ping -c 1 -W 2 10.213.0.1 > /dev/null && echo reached')).toBe('reached');
  });
});
if (!possible) test.todo('cannot run on this machine');
