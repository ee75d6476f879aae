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

/** The file of the limit of processes in the cgroup that a process is in, in either kind of hierarchy. */
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

/** Ends every process that is not the shell's own, as fast as it can. */
const KILL_ALL = 'while :; do kill -9 -1; done';

real('isolation verified from inside', () => {
  const host = new SharedLinuxHost('verify-isolation');
  const up = async (runtimeType: RuntimeType, more: object = {}) => {
    const one = container({ runtimeType, command: ['sleep', '600'], ...more });
    await host.up(one);
    return one;
  };
  const verify = (id: string) => host.runtime.verifyIsolation(id, never);

  test.each(TYPES)(
    '%s: every outcome is expected, beside a container of the other type',
    async (runtimeType) => {
      await up(runtimeType === 'Default' ? 'HyperV' : 'Default');
      const one = await up(runtimeType);
      const { probes, asExpected, simulated } = await verify(one.id);
      expect(unexpected(probes)).toEqual([]);
      expect([asExpected, simulated]).toEqual([true, undefined]);
      // What an absence would hide: these were really tried.
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

  test.each(TYPES)('%s: nothing of the container is changed or disturbed', async (runtimeType) => {
    const one = await up(runtimeType, { switchName: 'none' });
    const files = () =>
      host.sh(one, 'find / -xdev -newer /etc/passwd -type f; ls -A /dev; cat /proc/1/stat | cut -d" " -f22');
    const before = [await inspectContainer(host.runtime, one.id), await files()];
    await verify(one.id);
    expect([await inspectContainer(host.runtime, one.id), await files()]).toEqual(before);
  });

  test('without a network there is nothing to reach', async () => {
    const one = await up('Default', { switchName: 'none' });
    expect(outcomesOf((await verify(one.id)).probes)).toMatchObject({
      metadata: 'absent',
      'host-services': 'absent',
      neighbours: 'absent',
      'forged-source': 'absent',
    });
  });

  test('a container that was weakened is found out', async () => {
    const one = await up('Default', { switchName: 'none' });
    const [main] = await host.runtime.listProcesses(one.id);
    writeFileSync(pidsLimitOf(main?.hostPid ?? 0), 'max');
    const { probes, asExpected } = await verify(one.id);
    expect(asExpected).toBe(false);
    expect(unexpected(probes)).toMatchObject([{ name: 'process-limit', outcome: 'unlimited' }]);
  });

  test.each(TYPES)('%s: a container that ends the probes gets no report', async (runtimeType) => {
    const one = await up(runtimeType, { switchName: 'none', command: ['sh', '-c', KILL_ALL] });
    await expect(verify(one.id)).rejects.toMatchObject({ code: 'step-failed' });
  });

  test('a peer that the policy opens is no neighbour', async () => {
    const network = resolveNetworkPolicy({ peers: 'switch' });
    const one = await up('Default');
    const peer = await up('Default');
    for (const { id } of [one, peer]) await host.runtime.setNetworkPolicy(id, network);
    expect(outcomesOf((await verify(one.id)).probes)).toMatchObject({ neighbours: 'absent' });
  });
});
if (!possible) test.todo('not on this machine');
