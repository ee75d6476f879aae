/**
 * Runs Default containers on the kernel of Debian 12: `npm run test:debian12`. Unpacks packages of Debian 12 into a
 * root file system, boots it under emulation with Debian's own kernel, and runs `inside.ts` there. The machine affects
 * only the duration of the test. If the test cannot run (no root, packages of another release), it prints the reason
 * and succeeds.
 */
import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describeMachine } from '../../agent/runtimes/linux/vm/machine.ts';
import { QEMU } from '../../agent/runtimes/linux/vm/qemu-arguments.ts';
import { encodeCpio, FILE, FOLDER } from '../../scripts/setup/linux-runtime/cpio.ts';
import { fetchKernel, type GuestKernel } from '../../scripts/setup/linux-runtime/kernel.ts';
import { runProgram } from '../../scripts/setup/linux-runtime/run-program.ts';
import { artifactsFolder, SetUpRefusedError, setUpLinuxRuntime } from '../../scripts/setup/linux-runtime.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const WORK = join(ROOT, '.bulkhead', 'debian12');
const MEMORY_MB = 2048;
const TIMEOUT_MS = 8 * 60_000;
const say = (line: string) => process.stderr.write(`${line}\n`);

/** Packages that the agent uses for Default containers, and that this machine's Node needs. */
const PACKAGES = [
  ...['runc', 'e2fsprogs', 'erofs-utils', 'iproute2', 'mount', 'util-linux', 'kmod', 'busybox-static'],
  ...['golang-github-containers-common', 'libstdc++6', 'base-files', 'base-passwd'],
];
const MODULES = [
  ...['virtio_mmio', 'virtio_blk', 'squashfs', 'erofs', 'overlay', 'loop', 'veth', 'nf_tables'],
];

/** Runs first in the initramfs and then in the root file system that it switches to. */
const INITRAMFS_INIT = `#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
for name in $(busybox cat /modules/order); do busybox insmod /modules/$name.ko; done
busybox mount -t squashfs -o ro /dev/vda /lower
busybox mount -t tmpfs none /upper
busybox mkdir /upper/upper /upper/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work none /root
busybox mount --move /dev /root/dev
exec busybox switch_root /root /init
`;
const ROOT_INIT = `#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t tmpfs -o size=90% run /run
busybox mount -t tmpfs tmp /tmp
busybox mount -t cgroup2 cgroup /sys/fs/cgroup
busybox ip link set lo up
/usr/local/bin/node --disable-warning=ExperimentalWarning /project/test/debian12/inside.ts
busybox reboot -f
`;

const refuse = (said: string) =>
  new SetUpRefusedError(
    'packages-failed',
    `Debian 12 could not be unpacked.\n${said}`,
    'Check /etc/apt/sources.list.',
  );
const run = (program: string, ...args: string[]) => runProgram(program, args, { refuse });

/** Downloads the packages with all their dependencies, as for a machine that has none of them. */
const unpackDebian = async (root: string): Promise<void> => {
  const archives = join(WORK, 'cache');
  const noPackages = join(WORK, 'no-packages');
  await mkdir(join(archives, 'archives/partial'), { recursive: true });
  await writeFile(noPackages, '');
  const options = [`Dir::State::status=${noPackages}`, `Dir::Cache=${archives}`, 'APT::Sandbox::User=root'];
  await run(
    'apt-get',
    ...options.flatMap((option) => ['-o', option]),
    ...['install', '-y', '--download-only', '--no-install-recommends', ...PACKAGES],
  );
  const packages = (await readdir(join(archives, 'archives'))).filter((name) => name.endsWith('.deb'));
  for (const name of packages) await run('dpkg', '-x', join(archives, 'archives', name), root);
};

/** Copies the parts of this checkout that run inside. */
const copyProject = async (root: string): Promise<void> => {
  const project = join(root, 'project');
  for (const path of ['agent', 'core', 'test/debian12', 'package.json', 'node_modules/zod'])
    await cp(join(ROOT, path), join(project, path), { recursive: true });
  await cp(artifactsFolder(ROOT), join(project, '.bulkhead/runtime'), {
    recursive: true,
    filter: (path) => !path.endsWith('vmlinux'),
  });
};

const makeRoot = async (path: string): Promise<void> => {
  const root = join(WORK, 'root');
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  await unpackDebian(root);
  for (const folder of ['proc', 'sys', 'dev', 'run', 'tmp', 'etc', 'usr/local/bin'])
    await mkdir(join(root, folder), { recursive: true });
  await cp(process.execPath, join(root, 'usr/local/bin/node'), { dereference: true });
  await writeFile(join(root, 'init'), ROOT_INIT);
  await chmod(join(root, 'init'), 0o755);
  for (const name of ['passwd', 'group'])
    await cp(join(root, 'usr/share/base-passwd', `${name}.master`), join(root, 'etc', name));
  await copyProject(root);
  await run('mksquashfs', root, path, '-comp', 'lz4', '-noappend', '-no-progress');
};

const makeInitramfs = async (path: string, { modules }: GuestKernel): Promise<void> => {
  const folders = ['bin', 'dev', 'proc', 'lower', 'upper', 'root', 'modules'];
  const file = (name: string, content: Buffer, mode = 0o644) => ({ path: name, mode: FILE | mode, content });
  const entries = [
    ...folders.map((name) => ({ path: name, mode: FOLDER | 0o755 })),
    file('init', Buffer.from(INITRAMFS_INIT), 0o755),
    file('bin/busybox', await readFile('/bin/busybox'), 0o755),
    ...modules.map(({ name, content }) => file(`modules/${name}.ko`, content)),
    file('modules/order', Buffer.from(modules.map(({ name }) => `${name}\n`).join(''))),
  ];
  await writeFile(path, encodeCpio(entries));
};

/** @returns whether the last line of the output reports success */
const boot = async (root: string, kernel: string, initramfs: string): Promise<boolean> => {
  const { tscKhz } = await describeMachine();
  // The same parameters as for utility VMs: `qemu-arguments.ts` has the reason for each.
  const line = `console=ttyS0 quiet reboot=t panic=-1 tsc=reliable tsc_early_khz=${tscKhz} no_timer_check nokaslr mitigations=off apparmor=0`;
  const child = spawn(
    QEMU,
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-M', 'microvm,rtc=on,acpi=on'],
      ...['-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', String(MEMORY_MB), '-serial', 'stdio'],
      ...[
        '-global',
        'virtio-mmio.force-legacy=false',
        '-kernel',
        kernel,
        '-initrd',
        initramfs,
        '-append',
        line,
      ],
      ...[
        '-drive',
        `id=root,if=none,format=raw,readonly=on,file=${root}`,
        '-device',
        'virtio-blk-device,drive=root',
      ],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  let passed = false;
  for await (const text of createInterface({ input: child.stdout })) {
    say(`  ${text.trimEnd()}`);
    if (text.trim() === 'PASSED') passed = true;
  }
  return passed;
};

const main = async (): Promise<boolean> => {
  try {
    await setUpLinuxRuntime({ root: ROOT, report: say });
    await mkdir(WORK, { recursive: true });
    say('fetching Debian 12 and its kernel (apt-get)');
    const kernel = await fetchKernel(MODULES);
    if (!kernel.release.startsWith('6.1.'))
      throw new SetUpRefusedError(
        'kernel-failed',
        `The package lists have Linux ${kernel.release}.`,
        'Use Debian 12’s.',
      );
    const [root, vmlinux, initramfs] = ['root.squashfs', 'vmlinux', 'initramfs.cpio'].map((name) =>
      join(WORK, name),
    );
    await makeRoot(root as string);
    await writeFile(vmlinux as string, kernel.vmlinux);
    await makeInitramfs(initramfs as string, kernel);
    say(`booting Linux ${kernel.release} under emulation`);
    return await boot(root as string, vmlinux as string, initramfs as string);
  } catch (error) {
    if (!(error instanceof SetUpRefusedError)) throw error;
    say(`The test on Debian 12 is not run: ${error.message} ${error.suggestion}`);
    return true;
  }
};

process.exitCode = (await main()) ? 0 : 1;
