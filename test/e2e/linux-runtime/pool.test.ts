import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { commandLineOf, listPids, readStat } from '../../../agent/runtimes/linux/proc.ts';
import { templateLimits, templateReserveMB } from '../../../agent/runtimes/linux/vm/kept-templates.ts';
import { artifactsFolder } from '../../../scripts/setup/linux-runtime.ts';
import { container } from '../../helpers/assigned-container.ts';
import { around, convert } from '../../helpers/linux-conversion.ts';
import {
  bring,
  canHostLinux,
  inspectContainer,
  linuxHostFolder,
  openTestHost,
  until,
} from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';
import { busyboxLayer, tar, writeLayout } from '../../helpers/oci-image.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const ROOT = new URL('../../..', import.meta.url).pathname;
const NICE_FIELD = 16;
const MIB = 1024 * 1024;

const niceOf = (pid: number): number => Number(readStat(pid)?.fields[NICE_FIELD]);
const isThere = (pid: number): boolean => ![undefined, 'Z'].includes(readStat(pid)?.fields[0]);

real('templates and the pool of utility VMs', () => {
  const host = new SharedLinuxHost('pool', { poolSize: 1 });
  const make = () => container({ runtimeType: 'HyperV', command: ['sleep', '600'], switchName: 'none' });
  const full = () => until(() => host.runtime.readyVms === 1);
  const workerOf = async ({ id }: { id: string }) =>
    (await inspectContainer(host.runtime, id))?.workerProcess?.pid ?? 0;
  /** Worker processes of this host, including those of the pool. */
  const workers = async () =>
    (await findTraces(host.folder)).processes
      .filter((line) => line.includes('qemu-system'))
      .map((line) => Number(line.split(' ')[0]));

  test('a VM is claimed once and replaced in the background; no VM is used twice', async () => {
    await full();
    const [waiting = 0] = await workers();
    expect(niceOf(waiting)).toBe(10);
    const first = make();
    await host.up(first);
    expect(await workerOf(first)).toBe(waiting);
    expect(niceOf(waiting)).toBe(0);
    await full();
    const [fresh = 0] = (await workers()).filter((pid) => pid !== waiting);
    expect(niceOf(fresh)).toBe(10);
    await bring(host.runtime, first.id, null, 'Absent');
    expect(isThere(waiting)).toBe(false);
    const second = make();
    await host.up(second);
    expect(await workerOf(second)).toBe(fresh);
    await full();
  });

  test('a VM that exits while it waits is replaced and never claimed', async () => {
    await full();
    const [waiting = 0] = await workers();
    process.kill(waiting, 'SIGKILL');
    await until(() => host.runtime.readyVms === 0);
    await full();
    const one = make();
    await host.up(one);
    expect(await workerOf(one)).not.toBe(waiting);
    expect(await host.sh(one, 'echo runs')).toBe('runs');
  });

  test('a container of another size gets a VM of its own size, not from the pool', async () => {
    await full();
    const pooled = await workers();
    const one = make();
    await host.up({ ...one, spec: { ...one.spec, resources: { memoryMB: 256, cpus: 1, diskMB: 256 } } });
    expect(pooled).not.toContain(await workerOf(one));
    expect(
      Number(await host.sh(one, 'sed -n "s/^MemTotal: *\\\\([0-9]*\\\\).*/\\\\1/p" /proc/meminfo')),
    ).toBeGreaterThan(256 * 1024);
  });

  test('clones of one template have different randomness and the current time', async () => {
    const both = [make(), make()];
    for (const one of both) await host.up(one);
    const ask = 'head -c 16 /dev/urandom | xxd -p; cat /proc/sys/kernel/random/uuid';
    const said = await Promise.all(both.map((one) => host.sh(one, ask)));
    expect(said[0]).not.toBe(said[1]);
    const clocks = await Promise.all(both.map((one) => host.sh(one, 'date +%s')));
    for (const clock of clocks) expect(Math.abs(Number(clock) - Date.now() / 1000)).toBeLessThan(60);
  });

  test('a template’s memory is read-only, even for root of this machine', async () => {
    await full();
    const holders = listPids().filter(
      (pid) =>
        commandLineOf(pid)[1] === 'hold-template' && commandLineOf(pid).join(' ').includes(`${host.folder}/`),
    );
    expect(holders.length).toBeGreaterThan(0);
    for (const pid of holders) {
      const folder = `/proc/${pid}/fd`;
      const memory = readdirSync(folder).find((fd) => readlinkSync(join(folder, fd)).startsWith('/memfd:'));
      const fd = openSync(join(folder, memory ?? ''), 'r+');
      expect(() => writeSync(fd, Buffer.from('x'), 0, 1, 0)).toThrow('EPERM');
      closeSync(fd);
    }
  });

  test('the host’s capacity excludes the memory of pool and templates', async () => {
    const { capacity, utilityVmOverheadMB } = await host.runtime.facts();
    const machineMB = Math.floor(totalmem() / MIB);
    expect(capacity.memoryMB).toBe(
      machineMB - 512 - templateReserveMB(templateLimits(machineMB)) - (128 + (utilityVmOverheadMB ?? 0)),
    );
  });
});

real('a pool with demand for another size', () => {
  const host = new SharedLinuxHost('pool-demand', { poolSize: 1 });
  const make = () => {
    const one = container({ runtimeType: 'HyperV', command: ['sleep', '600'], switchName: 'none' });
    return { ...one, spec: { ...one.spec, resources: { memoryMB: 64, cpus: 1, diskMB: 64 } } };
  };
  const worker = async ({ id }: { id: string }) =>
    commandLineOf((await inspectContainer(host.runtime, id))?.workerProcess?.pid ?? 0).join(' ');
  /** The VM of that many MiB that waits in the pool. */
  const waiting = async (ramMB: number): Promise<string | undefined> => {
    if (host.runtime.readyVms !== 1) return undefined;
    const used = await Promise.all((await host.runtime.inspect()).map(worker));
    const commandLines = listPids().map((pid) => commandLineOf(pid).join(' '));
    const vms = readdirSync(join(host.folder, 'vms'));
    return vms.find((vm) =>
      commandLines.some(
        (line) => line.includes(vm) && !used.includes(line) && line.includes(` -m ${ramMB} `),
      ),
    );
  };

  test('holds a VM of that size once two containers were started', async () => {
    for (let times = 0; times < 2; times++) await host.up(make());
    await until(async () => (await waiting(192)) !== undefined);
    const vm = await waiting(192);
    const one = make();
    await host.up(one);
    expect(await worker(one)).toContain(vm);
    expect(await host.sh(one, 'echo runs')).toBe('runs');
  });
});

real('rehearsals of the pool’s VMs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-pool-images-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const host = new SharedLinuxHost('pool-images', { poolSize: 1, imageFolders: [folder] });
  // Tests run in random order, so each begins with a pool that knows of no starts.
  beforeEach(async () => {
    for (const { name } of await host.runtime.images())
      if (name !== 'mini') await host.runtime.removeImage(name);
    await host.runtime.shutDown();
    await host.reopen();
    await until(() => host.runtime.readyVms === 1);
  });
  const never = new AbortController().signal;
  const importLayer = async (name: string, layer: Buffer) => {
    const path = join(folder, name);
    writeLayout(path, { layers: [layer] });
    await host.runtime.importImage({ name, source: { path } }, never);
  };
  const of = (image: string, command = ['/bin/sleep', '600']) =>
    container({ image, runtimeType: 'HyperV', command, switchName: 'none' });
  const squashfsOf = async (image: string) => {
    const digest = (await host.runtime.images()).find(({ name }) => name === image)?.digest ?? '';
    return join(host.folder, 'images', `${digest.replace('sha256:', '')}.squashfs`);
  };
  /** The image on the first disk of the waiting VM. */
  const waiting = async () => {
    await until(() => host.runtime.readyVms === 1);
    const disks = join(host.folder, 'vms');
    const users = (await host.runtime.inspect()).map(({ workerProcess }) => workerProcess?.pid ?? 0);
    const named = users.map((pid) => commandLineOf(pid).join(' '));
    const [vm = ''] = readdirSync(disks).filter((id) => !named.some((line) => line.includes(id)));
    return { vm, inode: statSync(join(disks, vm, 'image.squashfs')).ino };
  };
  const isFor = async (image: string) => (await waiting()).inode === statSync(await squashfsOf(image)).ino;
  const startTwice = async (image: string, command?: string[]) => {
    for (let times = 0; times < 2; times++) {
      await waiting();
      const one = of(image, command);
      await host.up(one);
      await until(() => host.runtime.readyVms === 1);
      await bring(host.runtime, one.id, null, 'Absent');
    }
  };
  const usesVm = async ({ id }: { id: string }, vm: string) => {
    const worker = (await inspectContainer(host.runtime, id))?.workerProcess?.pid ?? 0;
    return commandLineOf(worker).join(' ').includes(vm);
  };

  test('use the general image first, and another image after two starts of it', async () => {
    await importLayer('often', busyboxLayer('often\n'));
    expect(await isFor('mini')).toBe(true);
    await startTwice('often');
    expect(await isFor('often')).toBe(true);
    const { vm } = await waiting();
    const same = of('often');
    await host.up(same);
    expect(await usesVm(same, vm)).toBe(true);
    const ask = 'cat /mark; test ! -e /etc/resolv.conf && busybox ls /sys/class/net';
    expect(await host.sh(same, ask)).toBe('often\nlo');

    await until(() => host.runtime.readyVms === 1);
    expect(await isFor('often')).toBe(true);
    const second = await waiting();
    const other = of('mini');
    await host.up(other);
    expect(await usesVm(other, second.vm)).toBe(false);
    await until(() => !existsSync(join(host.folder, 'vms', second.vm)));
    expect(await host.sh(other, 'test ! -e /mark && echo clean')).toBe('clean');
    expect(await isFor('mini')).toBe(true);
  });

  test('a VM that rehearsed with the general image serves any other', async () => {
    await importLayer('seldom', busyboxLayer('seldom\n'));
    expect(await isFor('mini')).toBe(true);
    const { vm } = await waiting();
    const one = of('seldom');
    await host.up(one);
    expect(await usesVm(one, vm)).toBe(true);
    expect(await host.sh(one, 'cat /mark')).toBe('seldom');
  });

  /** Converts a running Default container, and fails when its new VM has the disk. */
  const failWithDisk = async (image: string) => {
    const one = { ...of(image), runtimeType: 'Default' as const };
    await bring(host.runtime, one.id, one, 'Running', 'first');
    const { vm } = await waiting();
    let usedVm = false;
    const failing = around(host.runtime, 'attachDisks', {
      after: async () => {
        usedVm = await usesVm(one, vm);
        throw new TypeError('injected');
      },
    });
    await expect(convert(failing, one, 'HyperV', 'first')).rejects.toThrow('injected');
    expect(usedVm).toBe(true);
    return inspectContainer(host.runtime, one.id);
  };

  test('the host mounts the disk of an ended VM only if no image code has run in the VM', async () => {
    await importLayer('twice', busyboxLayer('twice\n'));
    expect(await isFor('mini')).toBe(true);
    expect(await failWithDisk('twice')).toMatchObject({
      runtimeType: 'Default',
      untrustedDisk: false,
      process: { running: true },
    });
    await startTwice('twice');
    expect(await isFor('twice')).toBe(true);
    expect(await failWithDisk('twice')).toMatchObject({
      runtimeType: 'HyperV',
      untrustedDisk: true,
      process: { running: false },
    });
  });

  test('rehearse as far as possible with an image without a shell', async () => {
    await importLayer('bare', tar([{ name: 'sleep', mode: 0o755, content: readFileSync('/bin/busybox') }]));
    await startTwice('bare', ['/sleep', '600']);
    expect(await isFor('bare')).toBe(true);
    const { vm } = await waiting();
    const one = of('bare', ['/sleep', '600']);
    await host.up(one);
    expect(await usesVm(one, vm)).toBe(true);
    expect((await inspectContainer(host.runtime, one.id))?.process).toMatchObject({ running: true });
  });

  test('removing an image removes its VM', async () => {
    await importLayer('gone', busyboxLayer('gone\n'));
    await startTwice('gone');
    expect(await isFor('gone')).toBe(true);
    const { vm } = await waiting();
    await host.runtime.removeImage('gone');
    expect(existsSync(join(host.folder, 'vms', vm))).toBe(false);
    expect(await isFor('mini')).toBe(true);
  });

  test('removing an image removes the VM that is being created with it', async () => {
    await importLayer('gone', busyboxLayer('gone\n'));
    await startTwice('gone');
    const { ino } = statSync(await squashfsOf('gone'));
    const waitedBefore = await waiting();
    const one = of('gone');
    await host.up(one);
    await bring(host.runtime, one.id, null, 'Absent');
    const vms = join(host.folder, 'vms');
    const disks = () =>
      readdirSync(vms)
        .filter((vm) => vm !== waitedBefore.vm)
        .map((vm) => statSync(join(vms, vm, 'image.squashfs'), { throwIfNoEntry: false })?.ino);
    await until(() => disks().includes(ino));
    await host.runtime.removeImage('gone');
    expect(disks()).not.toContain(ino);
    expect(await isFor('mini')).toBe(true);
  });
});

real('a pool whose agent was killed', () => {
  test('is removed by the next agent, with a template that was being created', async () => {
    const folder = linuxHostFolder('pool-killed');
    const script = `
      const { openTestHost } = await import('${ROOT}test/helpers/linux-host.ts');
      const runtime = await openTestHost('${folder}', { poolSize: 2 });
      while (runtime.readyVms === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      process.kill(process.pid, 'SIGKILL');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: 'inherit',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    await once(child, 'exit');
    expect((await findTraces(folder)).processes.length).toBeGreaterThan(0);
    const runtime = await openTestHost(folder);
    await runtime.shutDown();
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });

  test('leaves no resources if the host is stopped while the pool is full', async () => {
    const folder = linuxHostFolder('pool-killed');
    const runtime = await openTestHost(folder, { poolSize: 2 });
    await until(() => runtime.readyVms === 2);
    await runtime.shutDown();
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });

  test('leaves no resources if the host is stopped while the pool is being filled', async () => {
    const folder = linuxHostFolder('pool-killed');
    const runtime = await openTestHost(folder, { poolSize: 2 });
    await runtime.shutDown();
    expect(await findTraces(folder)).toEqual(NO_TRACES);
  });
});

real('the isolation report', () => {
  const host = new SharedLinuxHost('isolation');
  const own = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  const { kernelRelease } = JSON.parse(readFileSync(join(artifactsFolder(ROOT), 'manifest.json'), 'utf8'));

  test('Default: the container shares the kernel, and the host sees every process', async () => {
    const one = container({ command: ['sleep', '4321'], switchName: 'none' });
    await host.up(one);
    // When runc has returned, the process may not have executed its program yet.
    const isBegun = async () =>
      (await host.runtime.listProcesses(one.id)).some(({ name }) => name === 'sleep');
    await until(isBegun);
    const report = await host.runtime.isolation(one.id);
    expect(report).toMatchObject({
      runtimeType: 'Default',
      kernel: { host: own, container: own },
      sharedKernel: true,
      workerProcess: null,
    });
    expect(report.containerProcesses.map(({ commandLine }) => commandLine)).toEqual(['sleep 4321']);
    expect(report.visibleOnHost.map(({ pid }) => pid)).toEqual(
      report.containerProcesses.map(({ hostPid }) => hostPid),
    );
    expect(await host.sh(one, 'uname -r')).toBe(own);
  });

  test('HyperV: the container has its own kernel, and the host sees no process', async () => {
    const one = container({ runtimeType: 'HyperV', command: ['sleep', '4321'], switchName: 'none' });
    await host.up(one);
    const report = await host.runtime.isolation(one.id);
    expect(report).toMatchObject({
      runtimeType: 'HyperV',
      kernel: { host: own, container: kernelRelease },
      sharedKernel: false,
      visibleOnHost: [],
      workerProcess: { userName: one.id.toUpperCase() },
    });
    expect(report.containerProcesses.map(({ commandLine }) => commandLine)).toEqual(['sleep 4321']);
    expect(await host.sh(one, 'uname -r')).toBe(kernelRelease);
    expect(kernelRelease).not.toBe(own);
  });
});
if (!possible) test.todo('cannot run on this machine');
