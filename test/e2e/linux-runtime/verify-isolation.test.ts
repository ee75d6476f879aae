import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import type { ProbeResult } from '../../../core/contract/isolation-verification.ts';
import { resolveNetworkPolicy } from '../../../core/contract/network.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer } from '../../helpers/linux-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const never = new AbortController().signal;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];

const unexpected = (probes: readonly ProbeResult[]) =>
  probes.filter(({ expected }) => !expected).map(({ name, outcome, detail }) => ({ name, outcome, detail }));
const outcomesOf = (probes: readonly ProbeResult[]) =>
  Object.fromEntries(probes.map(({ name, outcome }) => [name, outcome]));

/** The file with the limit on processes of a process's cgroup, in cgroup v1 or v2. */
const pidsLimitOf = (pid: number): string => {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  const files = lines.map((line) => {
    const [, controllers = '', path = ''] = line.split(':');
    return join('/sys/fs/cgroup', controllers, path, 'pids.max');
  });
  const found = files.find((file) => existsSync(file));
  if (found === undefined) throw new TypeError(`none of ${files.join(', ')}`);
  return found;
};

/** Kills every process except the shell's own in a loop. */
const KILL_ALL = 'while :; do kill -9 -1; done';

real('the isolation verification', () => {
  const host = new SharedLinuxHost('verify-isolation');
  const up = async (runtimeType: RuntimeType, more: object = {}) => {
    const one = container({ runtimeType, command: ['sleep', '600'], ...more });
    await host.up(one);
    return one;
  };
  const verify = (id: string) => host.runtime.verifyIsolation(id, never);

  test.each(TYPES)(
    '%s: every outcome is expected while a container of the other type runs',
    async (runtimeType) => {
      await up(runtimeType === 'Default' ? 'HyperV' : 'Default');
      const one = await up(runtimeType);
      const { probes, asExpected, simulated } = await verify(one.id);
      expect(unexpected(probes)).toEqual([]);
      expect([asExpected, simulated]).toEqual([true, undefined]);
      // These probes must have run, because "absent" would also be an expected outcome.
      expect(outcomesOf(probes)).toMatchObject({
        kernel: runtimeType === 'Default' ? 'shared' : 'separate',
        'new-namespaces': 'refused',
        keyrings: 'refused',
        mounts: 'refused',
        bpf: 'refused',
        'proc-writes': 'refused',
        'raw-disks': 'refused',
        'host-services': 'refused',
        neighbours: 'refused',
        'forged-source': 'refused',
      });
    },
  );

  test.each(TYPES)('%s: the container is not changed or disturbed', async (runtimeType) => {
    const one = await up(runtimeType, { switchName: 'none' });
    const files = () =>
      host.sh(one, 'find / -xdev -newer /etc/passwd -type f; ls -A /dev; cat /proc/1/stat | cut -d" " -f22');
    const before = [await inspectContainer(host.runtime, one.id), await files()];
    await verify(one.id);
    expect([await inspectContainer(host.runtime, one.id), await files()]).toEqual(before);
  });

  test('a container without a network reaches no target', async () => {
    const one = await up('Default', { switchName: 'none' });
    expect(outcomesOf((await verify(one.id)).probes)).toMatchObject({
      metadata: 'absent',
      'host-services': 'absent',
      neighbours: 'absent',
      'forged-source': 'absent',
    });
  });

  test('a weakened container has unexpected outcomes', async () => {
    const one = await up('Default', { switchName: 'none' });
    const [main] = await host.runtime.listProcesses(one.id);
    writeFileSync(pidsLimitOf(main?.hostPid ?? 0), 'max');
    const { probes, asExpected } = await verify(one.id);
    expect(asExpected).toBe(false);
    expect(unexpected(probes)).toMatchObject([{ name: 'process-limit', outcome: 'unlimited' }]);
  });

  test.each(TYPES)('%s: a container that kills the probes gets no report', async (runtimeType) => {
    const one = await up(runtimeType, { switchName: 'none', command: ['sh', '-c', KILL_ALL] });
    await expect(verify(one.id)).rejects.toMatchObject({ code: 'step-failed' });
  });

  test('a peer that the policy allows is not tested as a neighbour', async () => {
    const network = resolveNetworkPolicy({ peers: 'switch' });
    const one = await up('Default');
    const peer = await up('Default');
    for (const { id } of [one, peer]) await host.runtime.setNetworkPolicy(id, network);
    expect(outcomesOf((await verify(one.id)).probes)).toMatchObject({ neighbours: 'absent' });
  });
});
if (!possible) test.todo('cannot run on this machine');
