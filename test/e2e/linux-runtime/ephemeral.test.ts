import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { artifactsFolder } from '../../../scripts/setup/linux-runtime.ts';
import { AgentProcess } from '../../helpers/agent-process.ts';
import { container } from '../../helpers/assigned-container.ts';
import { FakeControlPlane } from '../../helpers/fake-control-plane.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';

jest.setTimeout(120_000);
const real = (await canHostLinux()) ? describe : describe.skip;
const ROOT = new URL('../../..', import.meta.url).pathname;

real('an agent with --ephemeral', () => {
  test('removes running Default and HyperV containers when it stops', async () => {
    const plane = await new FakeControlPlane().start();
    const runtime = ['--runtime', 'linux', '--artifacts', artifactsFolder(ROOT), '--warm-vms', '0'];
    const agent = new AgentProcess(plane, [...runtime, '--ephemeral']).start();
    try {
      // The first start of a host detects the accelerator, which can take longer than one wait.
      const hasHello = () => plane.messages.some(({ action }) => action === 'hello');
      await plane.until(hasHello, 'a hello').catch(() => plane.until(hasHello, 'a hello'));
      for (const runtimeType of ['Default', 'HyperV'] satisfies RuntimeType[]) {
        const one = container({ runtimeType, command: ['sleep', '6000'] });
        const command = agent.command({ verb: 'startContainer', container: one }, one.id);
        plane.give(command);
        expect(await plane.result(command.id)).toMatchObject({ status: 'succeeded' });
      }
      expect(await agent.end('SIGTERM')).toBe(0);
      expect(await findTraces(join(agent.stateDir, 'linux'))).toEqual(NO_TRACES);
    } finally {
      await agent.dispose();
      await plane.stop();
    }
  });
});
