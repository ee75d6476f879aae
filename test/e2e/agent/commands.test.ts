import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { useAgent } from '../../helpers/agent-under-test.ts';
import { container } from '../../helpers/assigned-container.ts';

const LONG = 30_000;
const under = useAgent();

describe('an agent that is connected', () => {
  test(
    'reports its host’s facts and containers',
    async () => {
      await under.connected('nano-server');
      expect(under.plane.messages[0]).toMatchObject({
        action: 'hello',
        protocol: 1,
        agentVersion: expect.stringMatching(/\+simulated$/),
        facts: {
          os: { family: 'windows', sku: 'NanoServer', build: 14393 },
          hypervisor: 'simulated',
          capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
          switches: ['NAT', 'Virtual Switch'],
        },
        images: [{ name: 'nanoserver' }, { name: 'windowsservercore' }],
        observed: [],
      });
      expect([...under.plane.hosts.values()][0]?.name).toBe('simulated-nano-server');
      expect(statSync(join(under.agent.stateDir, 'host-key.pem')).mode & 0o777).toBe(0o600);
    },
    LONG,
  );

  test(
    'creates, provisions, starts, stops and removes a HyperV container, and reports each state',
    async () => {
      await under.connected('nano-server');
      const one = container({ image: 'NanoServer', runtimeType: 'HyperV', switchName: 'Virtual Switch' });
      const prepared = await under.carriedOut(
        under.command({ verb: 'prepareContainer', container: one }, one),
      );
      expect(prepared).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Off', runtimeType: 'HyperV', epoch: 1 },
      });
      const provisioned = await under.carriedOut(
        under.command({ verb: 'provisionUtilityVm', container: one }, one, { epoch: 2 }),
      );
      expect(provisioned).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Off', workerProcess: { name: 'vmwp.exe', userName: one.id.toUpperCase() } },
      });
      const started = await under.carriedOut(under.start(one, { epoch: 2 }));
      expect(started).toMatchObject({ status: 'succeeded', observed: { phase: 'Running', exitCode: null } });
      expect(started.steps.map(({ name, state }) => [name, state])).toEqual(
        ['CreateNetworkEndpoint', 'AttachDisks', 'MountLayers', 'StartProcess'].map((name) => [
          name,
          'Succeeded',
        ]),
      );
      const stopped = await under.carriedOut(
        under.command({ verb: 'stopContainer', timeoutSeconds: 10 }, one, { epoch: 3 }),
      );
      expect(stopped).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Off', exitCode: 0, workerProcess: null },
      });
      const removed = await under.carriedOut(under.command({ verb: 'removeContainer' }, one, { epoch: 4 }));
      expect(removed).toMatchObject({ status: 'succeeded', observed: { phase: 'Absent', epoch: 4 } });
      const again = await under.carriedOut(
        under.command({ verb: 'removeContainer' }, container(), { epoch: 1 }),
      );
      expect(again).toMatchObject({ status: 'succeeded', observed: { phase: 'Absent' } });
    },
    LONG,
  );

  test(
    'converts a container by stop and start and keeps its files; a Server Core host refuses',
    async () => {
      await under.connected('server-core');
      const one = container({ image: 'nanoserver' });
      await under.carriedOut(under.start(one));
      const hyperV = { ...one, runtimeType: 'HyperV' as const };
      const running = await under.carriedOut(under.start(hyperV, { epoch: 2 }));
      expect(running).toMatchObject({
        status: 'failed',
        error: { code: 'invalid-state' },
        observed: { phase: 'Running' },
      });
      await under.carriedOut(under.command({ verb: 'stopContainer', timeoutSeconds: 0 }, one, { epoch: 3 }));
      const refused = await under.carriedOut(under.start(hyperV, { epoch: 4 }));
      expect(refused).toMatchObject({
        status: 'failed',
        error: { code: 'runtime-conversion-unsupported', step: 'SetRuntimeType' },
        observed: { phase: 'Off', runtimeType: 'Default' },
      });
      const restored = await under.carriedOut(
        under.command({ verb: 'restoreContainer', to: 'Running', container: one }, one, { epoch: 4 }),
      );
      expect(restored).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Running', runtimeType: 'Default' },
      });
    },
    LONG,
  );

  test(
    'a restart replaces the process and can convert the container',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sleep', '600'] });
      await under.carriedOut(under.start(one));
      const hyperV = { ...one, runtimeType: 'HyperV' as const };
      const command = under.command({ verb: 'restartContainer', container: hyperV, timeoutSeconds: 1 }, one, {
        epoch: 2,
      });
      expect(await under.carriedOut(command)).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Running', runtimeType: 'HyperV', restartCount: 0 },
      });
      expect(under.runsOf(one)).toHaveLength(2);
    },
    LONG,
  );

  test(
    'a failed start reports step and cause and removes partial resources',
    async () => {
      await under.connected('linux', ['--simulate-fault', 'mountLayers=fail']);
      const one = container({ runtimeType: 'HyperV' });
      const result = await under.carriedOut(under.start(one));
      expect(result).toMatchObject({
        status: 'failed',
        error: { code: 'step-failed', step: 'MountLayers', message: expect.stringContaining('MountLayers') },
        observed: { phase: 'Absent' },
      });
      expect(result.steps.filter(({ detail }) => detail === 'undo').map(({ name }) => name)).toEqual([
        'DetachDisks',
        'RemoveNetworkEndpoint',
        'DestroyUtilityVm',
        'RemoveWritableLayer',
      ]);
      expect(under.world((world) => world.containers())).toEqual([]);
    },
    LONG,
  );

  test(
    'answers queries and image commands',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sleep', '600'] });
      await under.carriedOut(under.start(one));
      const inside = await under.carriedOut(under.command({ verb: 'listProcesses' }, one));
      expect(inside).toMatchObject({ processes: [{ pid: 1, name: 'sleep', commandLine: 'sleep 600' }] });
      const host = await under.carriedOut(under.agent.command({ verb: 'listHostProcesses' }, null));
      expect(host).toMatchObject({
        processes: expect.arrayContaining([expect.objectContaining({ name: 'sleep' })]),
      });
      const source = { path: '/images/tools.tar' };
      const imported = await under.carriedOut(
        under.agent.command({ verb: 'importImage', name: 'tools', source }, null),
      );
      expect(imported).toMatchObject({ status: 'succeeded', image: { name: 'tools', os: 'linux' } });
      await under.plane.until(
        () =>
          under.plane.messages.some(
            (m) => m.action === 'observed' && m.images?.some(({ name }) => name === 'tools'),
          ),
        'the new image',
      );
      const inUse = await under.carriedOut(under.agent.command({ verb: 'removeImage', name: 'MINI' }, null));
      expect(inUse).toMatchObject({ status: 'failed', error: { code: 'image-in-use' } });
    },
    LONG,
  );

  test(
    'reports exits and restarts containers by their policy',
    async () => {
      await under.connected('linux');
      const restartPolicy = { name: 'on-failure' as const, maxRetries: 2 };
      const one = container({ command: ['sh', '-c', 'exit 3'], restartPolicy, runtimeType: 'HyperV' });
      await under.carriedOut(under.start(one));
      const given = () => under.plane.observed.get(one.id);
      await under.plane.until(() => given()?.restartCount === 2 && given()?.phase === 'Off', 'two restarts');
      await under.plane.until(() => given()?.workerProcess === null, 'the end of the VM');
      expect(given()).toMatchObject({ exitCode: 3, epoch: 1 });
      expect(under.runsOf(one)).toHaveLength(3);
    },
    LONG,
  );

  test(
    'logs neither tokens nor the values of the environment',
    async () => {
      await under.connected('linux');
      const one = container();
      const secret = 'swordfish-7f3a';
      await under.carriedOut(under.start({ ...one, spec: { ...one.spec, env: { PASSWORD: secret } } }));
      const log = under.agent.log.join('');
      expect(log).toContain('answered a command');
      expect(log).not.toContain(secret);
      expect(log).not.toMatch(/fake-enrollment-token|eyJ/);
      expect(readFileSync(join(under.agent.stateDir, 'enrolment.json'), 'utf8')).not.toContain(
        'fake-enrollment-token',
      );
    },
    LONG,
  );
});
