import { afterEach, describe, expect, test } from '@jest/globals';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { AgentProcess, container } from '../../helpers/agent-process.ts';
import { FakeControlPlane } from '../../helpers/fake-control-plane.ts';

let plane: FakeControlPlane;
let agent: AgentProcess;

const begin = async (kind: string, extra: readonly string[] = []): Promise<void> => {
  plane = await new FakeControlPlane().start();
  agent = new AgentProcess(plane, ['--simulate', kind, '--simulate-delay-ms', '1', ...extra]).start();
  await plane.until(() => plane.messages.length > 0, 'a hello');
};

afterEach(async () => {
  expect(plane.violations).toEqual([]);
  await agent.dispose();
  await plane.stop();
}, 30_000);

const start = (one: AssignedContainer, epoch = 1) =>
  agent.command({ verb: 'startContainer', container: one }, one.id, { epoch });

describe('a host that enrols and connects', () => {
  test('says what it is and what it holds', async () => {
    await begin('nano-server');
    const [hello] = plane.messages;
    expect(hello).toMatchObject({
      action: 'hello',
      protocol: 1,
      facts: {
        os: { family: 'windows', sku: 'NanoServer', build: 14393 },
        hypervisor: 'simulated',
        capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
        switches: ['NAT', 'Virtual Switch'],
      },
      observed: [],
    });
    expect([...plane.hosts.values()][0]?.name).toBe('simulated-nano-server');
  }, 30_000);

  test('starts a HyperV container: the host shows its worker process, and not what runs in it', async () => {
    await begin('nano-server');
    const one = container({ image: 'NanoServer', runtimeType: 'HyperV', switchName: 'Virtual Switch' });
    const command = start(one);
    plane.give(command);
    const result = await plane.result(command.id);
    expect(result).toMatchObject({
      status: 'succeeded',
      observed: {
        phase: 'Running',
        runtimeType: 'HyperV',
        workerProcess: { name: 'vmwp.exe', userName: one.id.toUpperCase() },
      },
    });
    expect(result.steps.map(({ name, state }) => [name, state])).toEqual(
      [
        'CreateWritableLayer',
        'CreateUtilityVm',
        'ConnectGuest',
        'CreateNetworkEndpoint',
        'AttachDisks',
        'MountLayers',
        'StartProcess',
      ].map((name) => [name, 'Succeeded']),
    );
  }, 30_000);
});
