import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type ArtifactManifest,
  type Artifacts,
  MANIFEST,
  readArtifacts,
} from '../../agent/runtimes/linux/artifacts.ts';
import {
  compilePrograms,
  GUEST_SOURCES,
  HELPER_SOURCES,
  PRELOAD_SOURCES,
  PROBE_SOURCES,
} from './linux-runtime/compile.ts';
import { CHARACTER_DEVICE, type CpioEntry, encodeCpio, FILE, FOLDER } from './linux-runtime/cpio.ts';
import { exclusively } from './linux-runtime/exclusively.ts';
import { setFileModes } from './linux-runtime/file-modes.ts';
import { fetchKernel, type GuestKernel } from './linux-runtime/kernel.ts';
import { makeMiniImage } from './linux-runtime/mini-image.ts';
import { installPackages, missingPackages } from './linux-runtime/packages.ts';
import { SetUpRefusedError } from './linux-runtime/refusal.ts';

export { SetUpRefusedError } from './linux-runtime/refusal.ts';

const SETUP_SOURCES = 'scripts/setup/linux-runtime';

export interface SetUpOptions {
  /** The checkout. */
  readonly root: string;
  /** Called before each part that takes time; not called if the set-up is complete. */
  readonly report: (line: string) => void;
  /** Properties of this machine and user. */
  readonly machine?: Machine;
}

export interface Machine {
  readonly platform: string;
  readonly architecture: string;
  readonly isRoot: boolean;
}

const thisMachine = (): Machine => ({
  platform: process.platform,
  architecture: process.arch,
  isRoot: process.getuid?.() === 0,
});

/** Where `npm start` and the tests keep the artifacts. */
export const artifactsFolder = (root: string): string => join(root, '.bulkhead/runtime');

const refuseElsewhere = ({ platform, architecture, isRoot }: Machine): void => {
  if (platform !== 'linux' || architecture !== 'x64')
    throw new SetUpRefusedError(
      'not-linux-x64',
      `A real host needs Linux on x86-64; this is ${platform} on ${architecture}.`,
      'Run Bulkhead in a Linux virtual machine to run real containers.',
    );
  if (!isRoot)
    throw new SetUpRefusedError(
      'not-root',
      'A real host needs root: containers need namespaces, mounts and network devices.',
      'Start with sudo to run real containers.',
    );
};

/** Hash of all sources of the artifacts. The kernel is fetched again only when they change. */
const computeStamp = async (root: string): Promise<string> => {
  const hash = createHash('sha256');
  for (const folder of [GUEST_SOURCES, HELPER_SOURCES, PRELOAD_SOURCES, PROBE_SOURCES, SETUP_SOURCES])
    for (const name of (await readdir(join(root, folder))).sort())
      hash.update(`${folder}/${name}\0`).update(await readFile(join(root, folder, name)));
  return hash.digest('hex');
};

const isComplete = async (artifacts: Artifacts, stamp: string): Promise<boolean> => {
  if (artifacts.manifest.stamp !== stamp) return false;
  const { vmlinux, initramfs, helper, preload, mini } = artifacts;
  const files = [vmlinux, initramfs, helper, preload, mini];
  return Promise.all(files.map((file) => access(file))).then(
    () => true,
    () => false,
  );
};

const initramfsEntries = (init: Buffer, kernel: GuestKernel): CpioEntry[] => [
  ...['dev', 'modules', 'proc', 'sys', 'run', 'base', 'rw', 'newroot'].map((path) => ({
    path,
    mode: FOLDER | 0o755,
  })),
  { path: 'dev/console', mode: CHARACTER_DEVICE | 0o600, device: { major: 5, minor: 1 } },
  { path: 'init', mode: FILE | 0o755, content: init },
  ...kernel.modules.map(({ name, content }) => ({ path: `modules/${name}.ko`, mode: FILE | 0o644, content })),
  {
    path: 'modules/order',
    mode: FILE | 0o644,
    content: Buffer.from(kernel.modules.map(({ name }) => `${name}\n`).join('')),
  },
];

const describe = async (folder: string, path: string) => ({
  path,
  sha256: createHash('sha256')
    .update(await readFile(join(folder, path)))
    .digest('hex'),
});

const make = async (folder: string, stamp: string, { root, report }: SetUpOptions): Promise<void> => {
  report('fetching the kernel of utility VMs (apt-get download)');
  const kernel = await fetchKernel();
  report('compiling the guest agent and the host’s helper (gcc)');
  await compilePrograms(root, {
    init: join(folder, 'init'),
    helper: join(folder, 'helper'),
    preload: join(folder, 'guest-memory.so'),
  });
  report('creating the image "mini" (mksquashfs)');
  await makeMiniImage(join(folder, 'mini.squashfs'));
  await writeFile(join(folder, 'vmlinux'), kernel.vmlinux);
  const init = await readFile(join(folder, 'init'));
  await writeFile(join(folder, 'initramfs.cpio'), encodeCpio(initramfsEntries(init, kernel)));
  await setFileModes(folder);
  const manifest: ArtifactManifest = {
    stamp,
    kernelRelease: kernel.release,
    vmlinux: await describe(folder, 'vmlinux'),
    initramfs: await describe(folder, 'initramfs.cpio'),
    helper: await describe(folder, 'helper'),
    preload: await describe(folder, 'guest-memory.so'),
    mini: await describe(folder, 'mini.squashfs'),
  };
  await writeFile(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
};

const replace = async (folder: string, stamp: string, options: SetUpOptions): Promise<Artifacts> => {
  const fresh = `${folder}.${process.pid}.new`;
  try {
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true });
    await make(fresh, stamp, options);
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  const made = await readArtifacts(folder);
  if (made === null)
    throw new SetUpRefusedError('image-failed', `${folder} cannot be read.`, 'Remove it, then start again.');
  return made;
};

/**
 * Prepares this machine to run real containers: packages, kernel, guest agent, the image `mini`. Does nothing if they
 * exist. Concurrent calls are safe: one of them creates what is missing, and the others wait for it.
 * @throws {SetUpRefusedError} with the reason, if this machine or user cannot run it
 */
export const setUpLinuxRuntime = async (options: SetUpOptions): Promise<Artifacts> => {
  refuseElsewhere(options.machine ?? thisMachine());
  const folder = artifactsFolder(options.root);
  const stamp = await computeStamp(options.root);
  const lock = createHash('sha256').update(folder).digest('hex');
  return exclusively(`bulkhead-set-up-${lock}`, async () => {
    const missing = await missingPackages();
    if (missing.length > 0) {
      options.report(`installing ${missing.join(', ')} (apt-get)`);
      await installPackages(missing);
    }
    const current = await readArtifacts(folder);
    return current !== null && (await isComplete(current, stamp)) ? current : replace(folder, stamp, options);
  });
};

const main = async (): Promise<void> => {
  const root = new URL('../..', import.meta.url).pathname;
  const began = Date.now();
  const report = (line: string) => console.error(`${line} … ${((Date.now() - began) / 1000).toFixed(1)} s`);
  try {
    const artifacts = await setUpLinuxRuntime({ root, report });
    console.error(`The Linux runtime is set up (kernel ${artifacts.manifest.kernelRelease}).`);
  } catch (error) {
    if (!(error instanceof SetUpRefusedError)) throw error;
    console.error(`${error.message}\n${error.suggestion}`);
    process.exitCode = 1;
  }
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
