import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { LinuxRuntime } from '../../../agent/runtimes/linux/linux-runtime.ts';
import { Qmp } from '../../../agent/runtimes/linux/vm/qmp.ts';
import type { RuntimeContainer } from '../../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import {
  bring,
  canHostLinux,
  inspectContainer,
  linuxHostFolder,
  openTestHost,
  removeAllContainers,
  until,
} from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';
import { runIn } from '../../helpers/run-in-container.ts';

jest.setTimeout(180_000);
const HOST_PROCESS = new URL('../../helpers/linux-host-process.ts', import.meta.url).pathname;
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const STEPS: Readonly<Record<RuntimeType, readonly string[]>> = {
  Default: ['createWritableLayer', 'createNetworkEndpoint', 'mountLayers', 'startProcess'],
  HyperV: [
    'createWritableLayer',
    'createUtilityVm',
    'connectGuest',
    'createNetworkEndpoint',
    'attachDisks',
    'mountLayers',
    'startProcess',
  ],
};
const DEATHS = (['Default', 'HyperV'] as const).flatMap((type) =>
  STEPS[type].flatMap((step, index) =>
    (['before', 'after'] as const).map((when) => [type, step, index, when] as const),
  ),
);

/** Finds the QMP connection of a container's VM. */
const findVm = async (connections: readonly Qmp[], container: RuntimeContainer | null): Promise<Qmp> => {
  const shortId = container?.workerProcess?.name.replace('vmwp-', '');
  for (const one of new Set(connections)) {
    const { name } = (await one.execute('query-name').catch(() => ({ name: '' }))) as { name: string };
    if (shortId !== undefined && name.startsWith(shortId)) return one;
  }
  throw new Error('The container has no VM');
};

real('a host whose agent is killed', () => {
  const folder = linuxHostFolder('crash');
  const start = (one: AssignedContainer, step: number, when: string) =>
    spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        HOST_PROCESS,
        folder,
        JSON.stringify(one),
        String(step),
        when,
      ],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
  const withHost = async (use: (runtime: LinuxRuntime) => Promise<void>) => {
    const runtime = await openTestHost(folder);
    try {
      await use(runtime);
    } finally {
      await removeAllContainers(runtime);
      await runtime.shutDown();
    }
  };
  const ports = (one: AssignedContainer): AssignedContainer => ({
    ...one,
    spec: { ...one.spec, ports: [{ containerPort: 80 }] },
  });

  // Prepared once, so that no test waits for a template.
  beforeAll(() =>
    withHost(async (runtime) => {
      const one = container({ runtimeType: 'HyperV', command: ['true'] });
      await bring(runtime, one.id, one, 'Running');
      await bring(runtime, one.id, null, 'Absent');
    }),
  );
  afterAll(async () => expect(await findTraces(folder)).toEqual(NO_TRACES));

  test.each(DEATHS)(
    '%s, at %s (%i, %s): the next agent starts the container and removes the remains',
    async (runtimeType, _, step, when) => {
      const one = ports(container({ runtimeType, command: ['sleep', '600'] }));
      await once(start(one, step, when), 'exit');
      await withHost(async (runtime) => {
        await bring(runtime, one.id, one, 'Running');
        expect(await inspectContainer(runtime, one.id)).toMatchObject({
          process: { running: true },
          runtimeType,
        });
        // When runc has returned, the process may not have executed its program yet.
        await until(async () => (await runtime.listProcesses(one.id)).some(({ name }) => name === 'sleep'));
        await bring(runtime, one.id, null, 'Absent');
        expect(await inspectContainer(runtime, one.id)).toBeNull();
      });
      expect(await findTraces(folder)).toEqual(NO_TRACES);
    },
  );

  test.each<RuntimeType>(['Default', 'HyperV'])(
    '%s: the next agent adopts running containers with their output and exit',
    async (runtimeType) => {
      const command = ['sh', '-c', 'echo one; while [ ! -e /go ]; do sleep 0.1; done; echo two; exit 7'];
      const one = container({ runtimeType, command });
      const agent = start(one, -1, '');
      await once(agent.stdout, 'data');
      agent.kill('SIGKILL');
      await once(agent, 'exit');
      await withHost(async (runtime) => {
        expect(await inspectContainer(runtime, one.id)).toMatchObject({
          process: { running: true, instanceId: 'first' },
          networkEndpoint: true,
          layersMounted: true,
        });
        const told = new Promise<string>((resolve) => runtime.onExit(resolve));
        await runIn(runtime, one.id, { command: ['touch', '/go'] });
        expect(await told).toBe(one.id);
        expect(await inspectContainer(runtime, one.id)).toMatchObject({
          process: { running: false, exitCode: 7 },
        });
        await until(async () => (await runtime.readLog(one.id, {})).items.length === 2);
        expect((await runtime.readLog(one.id, {})).items.map(({ text }) => text)).toEqual(['one', 'two']);
        await bring(runtime, one.id, null, 'Absent');
      });
      expect(await findTraces(folder)).toEqual(NO_TRACES);
    },
  );

  test('if a VM’s process is killed, only its container ends', async () => {
    await withHost(async (runtime) => {
      const victim = container({ runtimeType: 'HyperV', command: ['sleep', '600'] });
      const neighbour = container({ runtimeType: 'HyperV', command: ['sleep', '600'] });
      for (const one of [victim, neighbour]) await bring(runtime, one.id, one, 'Running');
      const told = new Promise<string>((resolve) => runtime.onExit(resolve));
      process.kill((await inspectContainer(runtime, victim.id))?.workerProcess?.pid ?? 0, 'SIGKILL');
      expect(await told).toBe(victim.id);
      expect(await inspectContainer(runtime, victim.id)).toMatchObject({
        utilityVm: 'Absent',
        disksAttached: false,
        process: { running: false, exitReason: expect.stringContaining('utility VM ended') },
      });
      expect(await inspectContainer(runtime, neighbour.id)).toMatchObject({ process: { running: true } });
      // The disk was removed while it was mounted, so it is checked before the next use.
      await bring(runtime, victim.id, victim, 'Running');
      expect(await inspectContainer(runtime, victim.id)).toMatchObject({ process: { running: true } });
      for (const one of [victim, neighbour]) await bring(runtime, one.id, null, 'Absent');
    });
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });

  test('the end of a container is detected even if its helper is killed', async () => {
    await withHost(async (runtime) => {
      const one = container({ command: ['sleep', '600'] });
      await bring(runtime, one.id, one, 'Running');
      const [helper] = (await findTraces(folder)).processes.filter((line) => line.includes('run-container'));
      process.kill(Number(helper?.split(' ')[0]), 'SIGKILL');
      expect(await inspectContainer(runtime, one.id)).toMatchObject({ process: { running: true } });
      const [main] = await runtime.listProcesses(one.id);
      process.kill(main?.hostPid ?? 0, 'SIGKILL');
      await until(async () => (await inspectContainer(runtime, one.id))?.process?.endedAt !== null);
      expect(await inspectContainer(runtime, one.id)).toMatchObject({
        process: { running: false, exitCode: null },
      });
      await bring(runtime, one.id, null, 'Absent');
    });
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });

  test('a VM ends if its guest resets it', async () => {
    const execute = jest.spyOn(Qmp.prototype, 'execute');
    await withHost(async (runtime) => {
      const one = container({ runtimeType: 'HyperV', command: ['sleep', '600'] });
      await bring(runtime, one.id, one, 'Running');
      const told = new Promise<string>((resolve) => runtime.onExit(resolve));
      const vm = await findVm(execute.mock.contexts as Qmp[], await inspectContainer(runtime, one.id));
      await vm.execute('system_reset');
      expect(await told).toBe(one.id);
      const seen = await inspectContainer(runtime, one.id);
      expect(seen).toMatchObject({ utilityVm: 'Absent', process: { running: false } });
      expect(seen?.process?.exitReason).toMatch(/utility VM ended/);
      await bring(runtime, one.id, null, 'Absent');
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
