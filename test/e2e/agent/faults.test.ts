import { describe, expect, test } from '@jest/globals';
import type { AgentMessage } from '../../../core/contract/agent/messages.ts';
import { useAgent } from '../../helpers/agent-under-test.ts';
import { container } from '../../helpers/assigned-container.ts';
import { signCommand } from '../../helpers/signing.ts';

const LONG = 60_000;
const under = useAgent();
const isResult = (message: AgentMessage) => message.action === 'result';

/** True for the first `times` messages that match. */
const firstTimes = (times: number, matches: (message: AgentMessage) => boolean) => {
  let left = times;
  return (message: AgentMessage): boolean => {
    if (left === 0 || !matches(message)) return false;
    left -= 1;
    return true;
  };
};

describe('delivery failures', () => {
  test(
    'a result without an acknowledgement is resent unchanged, and the command is executed once',
    async () => {
      await under.connected('linux');
      under.plane.faults.loseAck = firstTimes(1, isResult);
      const one = container({ command: ['sleep', '600'] });
      const command = under.start(one);
      await under.carriedOut(command);
      await under.plane.until(
        () => (under.plane.results.get(command.id)?.length ?? 0) >= 2,
        'the result again',
      );
      const [first, second] = under.plane.results.get(command.id) ?? [];
      expect(second).toEqual(first);
      expect(under.runsOf(one)).toEqual([command.id]);
    },
    LONG,
  );

  test(
    'a result that is lost with its connection is resent on the next connection',
    async () => {
      await under.connected('linux');
      under.plane.faults.cut = firstTimes(1, isResult);
      const one = container({ command: ['sleep', '600'] });
      const command = under.start(one);
      expect(await under.carriedOut(command)).toMatchObject({ status: 'succeeded' });
      expect(under.plane.connections).toBeGreaterThanOrEqual(2);
      expect(under.runsOf(one)).toEqual([command.id]);
    },
    LONG,
  );

  test(
    'a command that is delivered repeatedly is executed once and gets the same answer',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['true'] });
      const command = under.start(one);
      for (let time = 0; time < 5; time += 1) under.plane.deliver(command);
      const result = await under.plane.result(command.id);
      under.plane.deliver(command);
      await under.plane.until(
        () => (under.plane.results.get(command.id)?.length ?? 0) >= 2,
        'the recorded result',
      );
      expect(under.plane.results.get(command.id)?.at(-1)).toEqual(result);
      expect(under.runsOf(one)).toEqual([command.id]);
    },
    LONG,
  );

  test(
    'a command with an older epoch has no effect',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sleep', '600'] });
      await under.carriedOut(under.start(one, { epoch: 7 }));
      const before = under.world((world) => world.container(one.id));
      const stale = await under.carriedOut(under.command({ verb: 'removeContainer' }, one, { epoch: 6 }));
      expect(stale).toMatchObject({
        status: 'failed',
        error: { code: 'operation-aborted' },
        observed: { epoch: 7 },
      });
      expect(under.world((world) => world.container(one.id))).toEqual(before);
      const removed = await under.carriedOut(under.command({ verb: 'removeContainer' }, one, { epoch: 8 }));
      expect(removed).toMatchObject({ status: 'succeeded' });
      const late = await under.carriedOut(under.start(one, { epoch: 7 }));
      expect(late).toMatchObject({
        status: 'failed',
        error: { code: 'operation-aborted' },
        observed: { phase: 'Absent' },
      });
    },
    LONG,
  );

  test(
    'a command that waits for too long is answered and not executed',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sh', '-c', "trap '' TERM; sleep 600"] });
      await under.carriedOut(under.start(one));
      const stop = under.command({ verb: 'stopContainer', timeoutSeconds: 1 }, one);
      const late = under.start(one, { ttlSeconds: 0 });
      under.plane.give(stop);
      under.plane.give(late);
      expect(await under.plane.result(late.id)).toMatchObject({
        status: 'failed',
        error: { code: 'deadline-exceeded' },
      });
      expect(await under.plane.result(stop.id)).toMatchObject({
        status: 'succeeded',
        observed: { exitCode: 137 },
      });
      expect(under.runsOf(one)).toHaveLength(1);
    },
    LONG,
  );

  test(
    'a hanging step appears in heartbeats and progress, and a newer command ends it',
    async () => {
      await under.begin('linux', ['--simulate-fault', 'connectGuest=hang'], (plane) => {
        plane.heartbeatSeconds = 1;
      });
      await under.hello();
      const one = container({ runtimeType: 'HyperV' });
      const start = under.start(one);
      under.plane.give(start);
      const seen = (matches: (message: AgentMessage) => boolean) => () => under.plane.messages.some(matches);
      await under.plane.until(
        seen((m) => m.action === 'heartbeat' && m.inProgress.includes(start.id)),
        'a heartbeat with the command',
      );
      await under.plane.until(
        seen((m) => m.action === 'progress' && m.steps.at(-1)?.name === 'ConnectGuest'),
        'progress',
      );
      const remove = under.command({ verb: 'removeContainer' }, one, { epoch: 2 });
      expect(await under.carriedOut(remove)).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Absent' },
      });
      expect(await under.plane.result(start.id)).toMatchObject({
        status: 'failed',
        error: { code: 'operation-aborted', step: 'ConnectGuest' },
      });
    },
    LONG,
  );

  test(
    'commands are executed once and results arrive, regardless of the message at which the connection is cut',
    async () => {
      await under.begin('linux', [], (plane) => {
        let count = 0;
        plane.faults.cut = () => {
          count += 1;
          return count <= 16 && count % 2 === 0;
        };
      });
      await under.hello();
      const all = Array.from({ length: 4 }, () => container({ command: ['sleep', '600'] }));
      const commands = all.map((one) => under.start(one));
      for (const command of commands) under.plane.give(command);
      for (const command of commands)
        expect(await under.plane.result(command.id)).toMatchObject({ status: 'succeeded' });
      for (const one of all) expect(under.runsOf(one)).toHaveLength(1);
      expect(under.plane.connections).toBeGreaterThan(4);
    },
    LONG,
  );

  test(
    'a result is resent to a slow control plane without a second effect',
    async () => {
      await under.begin('linux', [], (plane) => {
        plane.faults.delayMs = 2_500;
      });
      await under.hello();
      const one = container({ command: ['sleep', '600'] });
      const command = under.start(one);
      await under.carriedOut(command);
      await under.plane.until(
        () => (under.plane.results.get(command.id)?.length ?? 0) >= 2,
        'the result again',
      );
      expect(new Set(under.plane.results.get(command.id)?.map((one) => JSON.stringify(one))).size).toBe(1);
      expect(under.runsOf(one)).toHaveLength(1);
    },
    LONG,
  );

  test(
    'unknown commands are refused with their own error code, and unknown messages are ignored',
    async () => {
      await under.connected('linux');
      under.plane.send({ action: 'dance', partner: 'you' });
      under.plane.send('not even JSON');
      under.plane.send({ action: 'refused', messageId: null, detail: 'whatever it was' });
      const command = under.agent.command({ verb: 'listHostProcesses' }, null);
      const sendSigned = (content: object) =>
        under.plane.send({ action: 'command', ...signCommand(content), at: 1 });
      sendSigned({ ...command, id: 'unknown-verb', arguments: { verb: 'runScript' } });
      expect(await under.plane.result('unknown-verb')).toMatchObject({
        status: 'failed',
        error: { code: 'not-supported-yet', message: expect.stringContaining('runScript') },
      });
      sendSigned({ ...command, id: 'newer', hint: 'of a later version' });
      expect(await under.plane.result('newer')).toMatchObject({ status: 'succeeded' });
      under.plane.deliver({ ...command, id: 'for-another', hostId: container().id });
      under.plane.send({ action: 'inventoryRequest' });
      await under.plane.until(
        () => under.plane.messages.filter(({ action }) => action === 'hello').length >= 2,
        'a second hello',
      );
      expect(under.plane.results.has('for-another')).toBe(false);
    },
    LONG,
  );
});
