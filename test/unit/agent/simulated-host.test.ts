import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../agent/clock.ts';
import { behaviourOf } from '../../../agent/runtimes/simulated/commands.ts';
import { simulatedMachine } from '../../../agent/runtimes/simulated/kinds.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';

const signal = new AbortController().signal;

const startedOn = async (kind: 'nano-server' | 'linux', types: readonly RuntimeType[]) => {
  const { runtime, world } = simulatedHost(kind, systemClock);
  const all = types.map((runtimeType) =>
    container({ image: kind === 'linux' ? 'mini' : 'NanoServer', runtimeType }),
  );
  for (const one of all) {
    await runtime.createWritableLayer(one, signal);
    if (one.runtimeType === 'HyperV') {
      await runtime.createUtilityVm(one, signal);
      await runtime.connectGuest(one.id, signal);
      await runtime.attachDisks(one, signal);
    }
    await runtime.mountLayers(one, signal);
    await runtime.startProcess(one, `run of ${one.id}`, signal);
  }
  return { runtime, world, ids: all.map(({ id }) => id) };
};
const csrss = (list: readonly { name: string; pid: number }[]) =>
  list.filter(({ name }) => name === 'csrss.exe').map(({ pid }) => pid);

describe('the simulated machines', () => {
  test('show the isolation demonstration of the documentation', async () => {
    const { runtime, ids } = await startedOn('nano-server', ['Default', 'HyperV', 'HyperV']);
    const [shared = '', first = '', second = ''] = ids;
    expect(csrss(await runtime.listProcesses(shared))).toEqual([1228]);
    expect(csrss(await runtime.listProcesses(first))).toEqual([956]);
    expect(csrss(await runtime.listProcesses(second))).toEqual([956]);
    const host = await runtime.listHostProcesses();
    expect(csrss(host)).toEqual([532, 608, 1228, 3484]);
    const workers = host.filter(({ name }) => name === 'vmwp.exe').map(({ userName }) => userName);
    expect(workers).toEqual([first.toUpperCase(), second.toUpperCase()]);
  });

  test('assign unique process ids to any number of containers', async () => {
    const { runtime } = await startedOn(
      'nano-server',
      Array.from({ length: 60 }, (_, i) => (i % 3 ? 'Default' : 'HyperV')),
    );
    const pids = (await runtime.listHostProcesses()).map(({ pid }) => pid);
    expect(new Set(pids).size).toBe(pids.length);
  });

  test('number the processes of a Linux container from 1 in the container and differently on the host', async () => {
    const { runtime, ids } = await startedOn('linux', ['Default', 'HyperV']);
    const [shared = '', isolated = ''] = ids;
    expect(await runtime.listProcesses(shared)).toMatchObject([
      { pid: 1, hostPid: 20_000, userName: 'root' },
    ]);
    const host = await runtime.listHostProcesses();
    expect(host.find(({ pid }) => pid === 20_000)).toMatchObject({ name: 'sh' });
    expect(host.find(({ userName }) => userName === isolated.toUpperCase())?.name).toBe(
      `vmwp-${isolated.slice(0, 8)}`,
    );
  });

  test('only a Nano Server and Linux convert in place', async () => {
    const kinds = ['nano-server', 'server-core', 'linux'] as const;
    const conversions = kinds.map((kind) => simulatedMachine(kind).facts.capabilities.runtimeConversion);
    expect(conversions).toEqual(['inPlace', 'none', 'inPlace']);
    const { runtime } = simulatedHost('server-core', systemClock);
    const one = container({ image: 'windowsservercore' });
    await runtime.createWritableLayer(one, signal);
    await expect(
      runtime.setRuntimeType({ ...one, runtimeType: 'HyperV' }, false, signal),
    ).rejects.toMatchObject({
      code: 'runtime-conversion-unsupported',
    });
  });

  test('keep a container’s files in a conversion', async () => {
    const { runtime, world } = simulatedHost('linux', systemClock);
    const one = container();
    await runtime.createWritableLayer(one, signal);
    const before = world.container(one.id)?.layerId;
    await runtime.setRuntimeType({ ...one, runtimeType: 'HyperV' }, false, signal);
    expect(world.container(one.id)).toMatchObject({ layerId: before, container: { runtimeType: 'HyperV' } });
  });

  test('end a process on time even if no agent observes it', async () => {
    const clock = new ManualClock();
    const { runtime } = simulatedHost('linux', clock);
    const one = container({ command: ['sleep', '30'], switchName: 'none' });
    const exits: string[] = [];
    runtime.onExit((id) => exits.push(id));
    const during = async (work: Promise<void>) => {
      await clock.pass(0);
      await work;
    };
    await during(runtime.createWritableLayer(one, signal));
    await during(runtime.mountLayers(one, signal));
    await during(runtime.startProcess(one, 'run', signal));
    await clock.pass(29_999);
    expect(await runtime.inspect(one.id)).toMatchObject([{ process: { running: true } }]);
    expect(exits).toEqual([]);
    await clock.pass(1);
    expect(exits).toEqual([one.id]);
    expect(await runtime.inspect(one.id)).toMatchObject([{ process: { running: false, exitCode: 0 } }]);
  });

  test.each([
    ['linux', ['sleep', '2.5'], { seconds: 2.5, exitCode: 0 }],
    ['linux', ['/bin/true'], { seconds: 0, exitCode: 0 }],
    ['linux', ['false'], { seconds: 0, exitCode: 1 }],
    ['linux', ['sh', '-c', 'exit 42'], { seconds: 0, exitCode: 42 }],
    ['linux', ['sh', '-c', 'sleep 3; exit 7'], { seconds: 3, exitCode: 7 }],
    ['linux', ['sh'], { seconds: null }],
    ['linux', ['toString'], { kind: 'notFound', program: 'toString' }],
    ['linux', ['SH'], { kind: 'notFound', program: 'SH' }],
    ['windows', ['C:\\Windows\\System32\\CMD.EXE', '/c', 'exit /b 9'], { seconds: 0, exitCode: 9 }],
    ['windows', ['ping', '-t', 'localhost'], { seconds: null }],
    ['windows', ['timeout', '/t', '5'], { seconds: 5 }],
    ['windows', ['sh'], { kind: 'notFound', program: 'sh' }],
  ] as const)('on %s %j is %j', (family, command, expected) => {
    expect(behaviourOf(family, command)).toMatchObject(expected);
  });
});
