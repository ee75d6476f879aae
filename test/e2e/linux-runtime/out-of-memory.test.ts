import { describe, expect, jest, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

/**
 * In a utility VM these hung, because the VM ran out of memory before the container reached its limit. Similar:
 * https://github.com/kata-containers/kata-containers/issues/6129 and https://github.com/moby/moby/issues/38131 (the flag is lost).
 */
const HOGS: Readonly<Record<string, string>> = {
  'one process': 'exec tail /dev/zero',
  'a growing program': `exec awk 'BEGIN { text = "x"; while (1) text = text text }'`,
  'files in memory':
    'while :; do dd if=/dev/zero of=/dev/shm/$((n++)) bs=1M 2>/dev/null || exec tail /dev/zero; done',
};

real('a container that reaches its memory limit', () => {
  const host = new SharedLinuxHost('out-of-memory');
  const of = (runtimeType: RuntimeType, memoryMB: number, command: string[]) => {
    const one = container({ runtimeType, command, switchName: 'none' });
    return { ...one, spec: { ...one.spec, resources: { ...one.spec.resources, memoryMB } } };
  };

  describe.each<RuntimeType>(['Default', 'HyperV'])('%s', (runtimeType) => {
    describe.each([64, 128, 160])('with %i MiB', (memoryMB) => {
      test.each(Object.keys(HOGS))('ends with 137 and the reason: %s', async (what) => {
        const one = of(runtimeType, memoryMB, ['sh', '-c', HOGS[what] ?? '']);
        await host.up(one);
        await until(async () => (await inspectContainer(host.runtime, one.id))?.process?.running === false);
        expect(await inspectContainer(host.runtime, one.id)).toMatchObject({
          process: { exitCode: 137, outOfMemory: true },
        });
      });
    });

    test('continues if the kernel kills another process than the main process', async () => {
      const one = of(runtimeType, 64, ['sleep', '600']);
      await host.up(one);
      expect(await runIn(host.runtime, one.id, { command: ['tail', '/dev/zero'] })).toMatchObject({
        exitCode: 137,
      });
      expect(await host.sh(one, 'echo alive')).toBe('alive');
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
