import { describe, expect, test } from '@jest/globals';
import type { Command } from '../../../core/contract/agent/commands.ts';
import { AgentProcess } from '../../helpers/agent-process.ts';
import { useAgent } from '../../helpers/agent-under-test.ts';
import { container } from '../../helpers/assigned-container.ts';
import { sequence } from '../../helpers/random-sequence.ts';

const LONG = 120_000;
const under = useAgent();

/** Kills the agent at random moments. The last agent is not killed, so that the test ends on a slow machine. */
const killUntil = async (done: () => boolean, random: () => number): Promise<void> => {
  for (let kills = 0; !done(); ) {
    await new Promise((resolve) => setTimeout(resolve, 20 + random() * 500));
    if (kills >= 6 || random() >= 0.7) continue;
    kills += 1;
    await under.agent.end('SIGKILL');
    under.agent.start();
  }
};

describe('the life of the agent process', () => {
  test(
    'containers continue to run when the agent stops, and the next agent finds them',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sleep', '600'], runtimeType: 'HyperV' });
      const two = container({ command: ['sleep', '0.2'] });
      const started = await under.carriedOut(under.start(one));
      await under.carriedOut(under.start(two));
      expect(await under.agent.end('SIGTERM')).toBe(0);
      under.plane.messages.length = 0;
      under.agent.start();
      await under.hello();
      const [hello] = under.plane.messages;
      const seen = hello?.action === 'hello' ? hello.observed : [];
      expect(seen.find(({ containerId }) => containerId === one.id)).toMatchObject({
        phase: 'Running',
        startedAt: started.observed?.startedAt,
        epoch: 1,
      });
      expect(seen.find(({ containerId }) => containerId === two.id)).toMatchObject({
        phase: 'Off',
        exitCode: 0,
      });
      expect(under.plane.hosts.size).toBe(1);
      expect(await under.agent.orphan()).toBe(0);
    },
    LONG,
  );

  test(
    'a start is completed exactly once if the agent is killed before or after any step',
    async () => {
      const steps = [
        'createWritableLayer',
        'createUtilityVm',
        'connectGuest',
        'createNetworkEndpoint',
        'attachDisks',
        'mountLayers',
        'startProcess',
      ];
      const faults = steps.flatMap((step) =>
        ['die-before', 'die-after'].map((action) => `${step}=${action}`),
      );
      await under.begin('linux');
      await under.hello();
      await under.agent.end('SIGTERM');
      under.agent.start(faults.flatMap((fault) => ['--simulate-fault', fault]));
      await under.plane.until(() => under.plane.connections >= 2, 'the second connection');
      const one = container({ command: ['true'], runtimeType: 'HyperV' });
      const command = under.start(one);
      under.plane.give(command);
      let deaths = 0;
      while (!under.plane.results.has(command.id)) {
        await Promise.race([
          under.agent.exited(),
          under.plane.until(() => under.plane.results.has(command.id), 'the result'),
        ]);
        if (!under.agent.ended) break;
        deaths += 1;
        under.agent.start();
      }
      expect(deaths).toBeGreaterThanOrEqual(faults.length);
      expect(await under.plane.result(command.id)).toMatchObject({ status: 'succeeded' });
      expect(under.runsOf(one)).toEqual([command.id]);
    },
    LONG,
  );

  test(
    'every command takes effect once and gets the same answer if the agent is killed at any moment',
    async () => {
      const seed = Number(process.env.AGENT_SEED ?? Date.now() % 1_000_000);
      const random = sequence(seed);
      await under.connected('linux');
      const all = Array.from({ length: 5 }, (_, index) =>
        container({ command: ['sleep', '600'], runtimeType: index % 2 ? 'HyperV' : 'Default' }),
      );
      const rounds = 4;
      for (let round = 0; round < rounds; round += 1) {
        const epoch = round + 1;
        const commands = all.map(
          (one): Command =>
            round === 0
              ? under.start(one, { epoch })
              : under.command({ verb: 'restartContainer', container: one, timeoutSeconds: 0 }, one, {
                  epoch,
                }),
        );
        for (const command of commands) under.plane.give(command);
        await killUntil(() => commands.every(({ id }) => under.plane.results.has(id)), random);
        for (const { id } of commands)
          expect([seed, under.plane.results.get(id)?.[0]?.status]).toEqual([seed, 'succeeded']);
      }
      for (const results of under.plane.results.values())
        expect(new Set(results.map((one) => JSON.stringify(one))).size).toBe(1);
      for (const one of all) expect([seed, under.runsOf(one).length]).toEqual([seed, rounds]);
    },
    LONG,
  );

  test(
    'enrolls once even if the API is busy and an answer is lost',
    async () => {
      await under.begin('linux', [], (plane) => {
        plane.faults.enrollmentStatus = 503;
        plane.faults.loseEnrollment = true;
        setTimeout(() => {
          plane.faults.enrollmentStatus = null;
        }, 700);
      });
      await under.hello();
      expect(under.plane.hosts.size).toBe(1);
      expect(new Set(under.plane.tokens.map(({ jti }) => jti)).size).toBe(under.plane.tokens.length);
    },
    LONG,
  );

  test(
    'reports with its exit code and one sentence why it cannot start',
    async () => {
      await under.connected('linux');
      const second = new AgentProcess(under.plane, [
        '--simulate',
        'linux',
        '--state-dir',
        under.agent.stateDir,
      ]).start();
      expect(await second.exited()).toBe(4);
      expect(second.log.join('')).toMatch(/another agent uses/);
      const unknown = new AgentProcess(under.plane, ['--simulate', 'linux', '--name', 'unknown']).start();
      expect(await unknown.exited()).toBe(3);
      expect(unknown.log.join('')).toMatch(/get a new token/);
      const mistaken = new AgentProcess(under.plane, ['--simulate', 'toaster']).start();
      expect(await mistaken.exited()).toBe(2);
      expect(mistaken.log.join('')).toMatch(/nano-server.*See --help/);
      await Promise.all([unknown.dispose(), mistaken.dispose()]);
    },
    LONG,
  );
});
