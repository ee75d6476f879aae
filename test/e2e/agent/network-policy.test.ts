import { describe, expect, test } from '@jest/globals';
import type { AssignedContainer, Command } from '../../../core/contract/agent/commands.ts';
import { resolveNetworkPolicy } from '../../../core/contract/network.ts';
import { useAgent } from '../../helpers/agent-under-test.ts';
import { container } from '../../helpers/assigned-container.ts';

const LONG = 60_000;
const under = useAgent();

const policy = (port: number) =>
  resolveNetworkPolicy({ egress: { default: 'deny', allow: [{ cidr: '8.8.8.8', ports: [port] }] } });
const set = (one: AssignedContainer, revision: number): Command =>
  under.command({ verb: 'setNetworkPolicy', network: policy(revision), revision }, one, { epoch: 0 });
const inForce = ({ id }: AssignedContainer) =>
  under.world((world) => world.container(id)?.networkPolicy ?? null);

describe('a network policy', () => {
  test.each([
    ['before', 'die-before'],
    ['after', 'die-after'],
  ] as const)(
    'is applied after a restart if the agent is killed just %s applying it, without a restart of the container',
    async (_, action) => {
      await under.connected('linux');
      const one = container({ command: ['sleep', '600'] });
      const start = under.start(one);
      await under.carriedOut(start);
      under.world((world) => world.addFault('setNetworkPolicy', action, 1));
      const command = set(one, 5);
      under.plane.give(command);
      await under.agent.exited();
      expect(inForce(one)).toEqual(action === 'die-before' ? one.spec.network : policy(5));
      under.agent.start();
      expect(await under.plane.result(command.id)).toMatchObject({ status: 'succeeded' });
      expect(inForce(one)).toEqual(policy(5));
      expect(under.runsOf(one)).toEqual([start.id]);
    },
    LONG,
  );

  test(
    'is the newest of many even if the agent is killed repeatedly while they arrive',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sleep', '600'] });
      await under.carriedOut(under.start(one));
      const commands = Array.from({ length: 30 }, (_, at) => set(one, ((at * 7) % 30) + 1));
      for (const [at, command] of commands.entries()) {
        under.plane.give(command);
        if (at % 10 !== 9) continue;
        await under.agent.end('SIGKILL');
        under.agent.start();
      }
      for (const command of commands)
        expect(await under.plane.result(command.id)).toMatchObject({ status: 'succeeded' });
      expect(inForce(one)).toEqual(policy(30));
    },
    LONG,
  );

  test(
    'is reported with the ceiling of the host’s operator, which is also in the host’s facts',
    async () => {
      await under.connected('linux', ['--allow-private', '10.20.1.1/16', '--allow-private', 'fd12::/32']);
      const ceiling = ['10.20.0.0/16', 'fd12::/32'];
      const hello = under.plane.messages.find(({ action }) => action === 'hello');
      expect(hello).toMatchObject({ facts: { networkCeiling: ceiling } });
      const one = container({ command: ['sleep', '600'] });
      await under.carriedOut(under.start(one));
      await under.carriedOut(set(one, 5));
      expect(await under.carriedOut(under.command({ verb: 'reportIsolation' }, one))).toMatchObject({
        isolation: { network: { policy: policy(5), ceiling, dropped: { packets: 0 } } },
      });
    },
    LONG,
  );
});
