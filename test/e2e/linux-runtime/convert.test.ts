import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import type { LinuxRuntime } from '../../../agent/runtimes/linux/linux-runtime.ts';
import type { Runtime } from '../../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { around, convert, restore } from '../../helpers/linux-conversion.ts';
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
const PROCESS = new URL('../../helpers/linux-convert-process.ts', import.meta.url).pathname;
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const OTHER: Readonly<Record<RuntimeType, RuntimeType>> = { Default: 'HyperV', HyperV: 'Default' };
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];

/** The steps of a conversion on this host, by the target type. */
const STEPS: Readonly<Record<RuntimeType, readonly (keyof Runtime)[]>> = {
  HyperV: [
    'stopProcess',
    'unmountLayers',
    'removeNetworkEndpoint',
    'setRuntimeType',
    'createUtilityVm',
    'connectGuest',
    'createNetworkEndpoint',
    'attachDisks',
    'mountLayers',
    'startProcess',
  ],
  Default: [
    'stopProcess',
    'unmountLayers',
    'detachDisks',
    'removeNetworkEndpoint',
    'destroyUtilityVm',
    'setRuntimeType',
    'createNetworkEndpoint',
    'mountLayers',
    'startProcess',
  ],
};
const DEATHS = TYPES.flatMap((from) =>
  STEPS[OTHER[from]].map((verb, at) => [from, verb, at % 2 === 0 ? 'before' : 'after'] as const),
);
const EVERY_STEP = TYPES.flatMap((from) => STEPS[OTHER[from]].map((verb) => [from, verb] as const));

/** Hashes a file's data and the positions of its holes, because reading ten gibibytes of holes is slow. */
const hashOf = (path: string): string => {
  const archive = execFileSync(
    'tar',
    [
      '--create',
      '--sparse',
      '--hole-detection=seek',
      '--mtime=@0',
      '--owner=0',
      '--group=0',
      '--mode=0',
      `--directory=${dirname(path)}`,
      basename(path),
    ],
    { maxBuffer: 2 ** 30 },
  );
  return createHash('sha256').update(archive).digest('hex');
};

const TEMPLATE_BOOT_MS = 60_000;

/** Programs that run while the host is open: holders of templates, the resolver. */
const OF_THE_HOST = / (hold-template|serve-names) /;

/**
 * Returns the resources that the open host holds for containers. The VM of a template that is being created has resources too.
 * They are removed when the template is ready, but a container's resources would remain.
 */
const findContainerTraces = async (folder: string) => {
  for (const until = performance.now() + TEMPLATE_BOOT_MS; ; await sleep(100)) {
    const { processes, ...others } = await findTraces(folder);
    const found = {
      ...others,
      routers: [],
      processes: processes.filter((line) => !OF_THE_HOST.test(line)),
    };
    const isEmpty = Object.values(found).every((traces) => traces.length === 0);
    if (isEmpty || performance.now() > until) return found;
  }
};

real('conversion on a real host', () => {
  const folder = linuxHostFolder('convert');
  const layout = createLayout(folder);
  let runtime: LinuxRuntime;
  const open = async () => {
    runtime = await openTestHost(folder);
  };
  beforeAll(async () => {
    await open();
    const one = container({ runtimeType: 'HyperV', command: ['true'] });
    await bring(runtime, one.id, one, 'Running');
    await bring(runtime, one.id, null, 'Absent');
  });
  afterEach(() => removeAllContainers(runtime));
  afterAll(async () => {
    await runtime.shutDown();
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });

  const longLived = (runtimeType: RuntimeType): AssignedContainer => {
    const one = container({ runtimeType, command: ['sleep', '600'] });
    return { ...one, spec: { ...one.spec, ports: [{ containerPort: 80 }] } };
  };
  const started = async (runtimeType: RuntimeType) => {
    const one = longLived(runtimeType);
    await bring(runtime, one.id, one, 'Running', 'first');
    return one;
  };
  const shell = async (id: string, script: string) => {
    const { exitCode, stdout } = await runIn(runtime, id, { command: ['sh', '-c', script] });
    return `${exitCode} ${String(stdout).trim()}`;
  };
  const onHost = async (id: string): Promise<boolean> => {
    const inside = await runtime.listProcesses(id);
    const pids = new Set((await runtime.listHostProcesses()).map(({ pid }) => pid));
    return inside.some(({ hostPid }) => hostPid !== undefined && pids.has(hostPid));
  };
  const expectRunning = async (id: string, runtimeType: RuntimeType) => {
    expect(await inspectContainer(runtime, id)).toMatchObject({
      runtimeType,
      process: { running: true },
      utilityVm: runtimeType === 'HyperV' ? 'Connected' : 'Absent',
      layersMounted: true,
      networkEndpoint: true,
    });
    // Its name changes when runc has executed the program.
    await until(async () => (await runtime.listProcesses(id)).some(({ name }) => name === 'sleep'));
  };

  test('DEMO is converted from Default to HyperV and back, and keeps its written and deleted files', async () => {
    const one = await started('Default');
    expect(await shell(one.id, 'echo kept > /written; rm /etc/passwd; ls /etc/passwd')).toMatch(/^[12] /);
    expect([(await inspectContainer(runtime, one.id))?.runtimeType, await onHost(one.id)]).toEqual([
      'Default',
      true,
    ]);
    const there = await convert(runtime, one, 'HyperV', 'first');
    expect(there.downtimeMs).toBeGreaterThan(0);
    expect(there.steps.map(({ name }) => name).at(-1)).toBe('Verify');
    await expectRunning(one.id, 'HyperV');
    expect(await onHost(one.id)).toBe(false);
    expect(await shell(one.id, 'cat /written; ls /etc/passwd')).toMatch(/^[12] kept$/);
    expect(await shell(one.id, 'echo more >> /written')).toBe('0 ');

    const instance = (await inspectContainer(runtime, one.id))?.process?.instanceId ?? null;
    await convert(runtime, { ...one, runtimeType: 'HyperV' }, 'Default', instance);
    await expectRunning(one.id, 'Default');
    expect(await onHost(one.id)).toBe(true);
    expect(await shell(one.id, 'cat /written; ls /etc/passwd')).toMatch(/^[12] kept\nmore$/);
    await bring(runtime, one.id, null, 'Absent');
  });

  test.each(TYPES)(
    'from %s, stopped: changes the type and no byte of the layer, whether it succeeds or fails',
    async (from) => {
      const one = await started(from);
      await shell(one.id, 'echo kept > /written');
      await bring(runtime, one.id, null, 'Off');
      const { scratch } = containerPaths(layout, one.id);
      const before = hashOf(scratch);
      const full = around(runtime, 'setRuntimeType', {
        after: () => {
          throw Object.assign(new TypeError('no space left on device'), { code: 'ENOSPC' });
        },
      });
      await expect(convert(full, one, OTHER[from], null)).rejects.toThrow('no space left');
      expect([(await inspectContainer(runtime, one.id))?.runtimeType, hashOf(scratch)]).toEqual([
        from,
        before,
      ]);
      expect((await convert(runtime, one, OTHER[from], null)).downtimeMs).toBeNull();
      expect([(await inspectContainer(runtime, one.id))?.runtimeType, hashOf(scratch)]).toEqual([
        OTHER[from],
        before,
      ]);
      await bring(runtime, one.id, null, 'Absent');
    },
  );

  // Without HyperV's last step, because a container that has run in its VM is not rolled back.
  const HARMLESS = EVERY_STEP.filter(([from, verb]) => !(from === 'Default' && verb === 'startProcess'));
  test.each(HARMLESS)(
    'from %s, %s fails: the container runs with its earlier type and files',
    async (from, verb) => {
      const one = await started(from);
      await shell(one.id, 'echo kept > /written');
      const failing = around(runtime, verb, {
        after: () => {
          throw new TypeError('injected');
        },
      });
      await expect(convert(failing, one, OTHER[from], 'first')).rejects.toThrow('injected');
      await expectRunning(one.id, from);
      expect(await shell(one.id, 'cat /written')).toBe('0 kept');
      await bring(runtime, one.id, null, 'Absent');
      expect(await findContainerTraces(folder)).toEqual(NO_TRACES);
    },
  );

  test.each(['connectGuest', 'attachDisks', 'mountLayers'] as const)(
    'its VM is killed after %s: the container runs with its earlier type',
    async (verb) => {
      const one = await started('Default');
      await shell(one.id, 'echo kept > /written');
      const dying = around(runtime, verb, {
        after: async () => {
          const pid = (await inspectContainer(runtime, one.id))?.workerProcess?.pid;
          process.kill(pid ?? 0, 'SIGKILL');
          await until(async () => (await inspectContainer(runtime, one.id))?.utilityVm === 'Absent');
        },
      });
      await expect(convert(dying, one, 'HyperV', 'first')).rejects.toThrow();
      await expectRunning(one.id, 'Default');
      expect(await shell(one.id, 'cat /written')).toBe('0 kept');
      await bring(runtime, one.id, null, 'Absent');
    },
  );

  test('if the conversion fails after the new main process has run in the VM, it continues in the VM', async () => {
    const one = await started('Default');
    const failing = around(runtime, 'startProcess', {
      after: () => {
        throw new TypeError('injected');
      },
    });
    await expect(convert(failing, one, 'HyperV', 'first')).rejects.toThrow('injected');
    await expectRunning(one.id, 'HyperV');
    await bring(runtime, one.id, null, 'Absent');
  });

  test('if the new main process is killed before its verification, the container is off and not restored to this kernel', async () => {
    const one = await started('Default');
    const dying = around(runtime, 'startProcess', {
      after: async () => {
        await runtime.stopProcess(one.id, 0, new AbortController().signal);
      },
    });
    await expect(convert(dying, one, 'HyperV', 'first')).rejects.toThrow('does not run');
    const off = { runtimeType: 'HyperV', process: { running: false }, layersMounted: false };
    expect(await inspectContainer(runtime, one.id)).toMatchObject(off);
    await restore(runtime, one, 'Running');
    expect(await inspectContainer(runtime, one.id)).toMatchObject(off);
    await bring(runtime, one.id, null, 'Absent');
  });

  test.each(DEATHS)(
    'from %s, the agent is killed at %s (%s): the next agent completes the conversion',
    async (from, verb, when) => {
      await runtime.shutDown();
      const one = longLived(from);
      const args = [folder, JSON.stringify(one), OTHER[from], String(verb), when];
      const agent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROCESS, ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [, signal] = await once(agent, 'exit');
      await open();
      expect(signal).toBe('SIGKILL');
      await convert(runtime, one, OTHER[from], 'first');
      await expectRunning(one.id, OTHER[from]);
      await bring(runtime, one.id, null, 'Absent');
      expect(await findContainerTraces(folder)).toEqual(NO_TRACES);
    },
  );
});

real('conversion on a host whose disk is full', () => {
  const folder = linuxHostFolder('convert-full');
  const filler = join(folder, 'filler');
  beforeAll(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=768m', 'tmpfs', folder]);
  });
  afterAll(() => {
    execFileSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  test('fails, and the container is unchanged once there is free space', async () => {
    const runtime = await openTestHost(folder);
    try {
      const one = container({ command: ['sleep', '600'] });
      await bring(runtime, one.id, one, 'Running', 'first');
      // dd fails when the disk is full.
      const fill = around(runtime, 'stopProcess', {
        after: () => {
          try {
            execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'], { stdio: 'ignore' });
          } catch {
            expect(existsSync(filler)).toBe(true);
          }
        },
      });
      await expect(convert(fill, one, 'HyperV', 'first')).rejects.toThrow();
      rmSync(filler);
      await restore(runtime, one, 'Running');
      expect(await inspectContainer(runtime, one.id)).toMatchObject({
        runtimeType: 'Default',
        process: { running: true },
      });
      await bring(runtime, one.id, null, 'Absent');
    } finally {
      await removeAllContainers(runtime);
      await runtime.shutDown();
    }
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });
});
if (!possible) test.todo('cannot run on this machine');
