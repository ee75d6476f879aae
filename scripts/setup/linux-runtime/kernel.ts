import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { unpackLz4 } from './lz4.ts';
import { collectModules, type KernelModule } from './modules.ts';
import { SetUpRefusedError } from './refusal.ts';
import { runProgram } from './run-program.ts';
import { findPayload, isElf } from './vmlinux.ts';

const META_PACKAGE = 'linux-image-cloud-amd64';
/** Kernel modules of a utility VM, in the order of loading; the rest is built in. */
const MODULES = ['virtio_mmio', 'virtio_console', 'squashfs', 'overlay', 'virtio_blk', 'virtio_net'];

export interface GuestKernel {
  readonly release: string;
  readonly vmlinux: Buffer;
  readonly modules: readonly KernelModule[];
}

const refuse = (what: string) => (output: string) =>
  new SetUpRefusedError(
    'kernel-failed',
    `The kernel for utility VMs could not be fetched: ${what} failed.\n${output}`,
    'Check the internet connection and /etc/apt/sources.list (Debian’s main archive has the kernel), then start again.',
  );

const decompressXz = (input: Buffer) => runProgram('xz', ['-dc'], { input, refuse: refuse('xz') });

/** The package that the meta package depends on, e.g. `linux-image-6.1.0-56-cloud-amd64`. */
const resolvePackage = async (): Promise<string> => {
  const depends = async () => {
    const output = await runProgram('apt-cache', ['depends', META_PACKAGE], { refuse: refuse('apt-cache') });
    return /Depends: (linux-image-\S+-cloud-amd64)/.exec(output.toString())?.[1];
  };
  const known = await depends().catch(() => undefined);
  if (known) return known;
  await runProgram('apt-get', ['update'], { refuse: refuse('apt-get update') });
  const found = await depends();
  if (!found) throw refuse('apt-cache')(`${META_PACKAGE} is not in the package lists.`);
  return found;
};

const unpackKernel = async (bzImage: Buffer): Promise<Buffer> => {
  const payload = findPayload(bzImage);
  const unpack = {
    xz: decompressXz,
    gzip: async (data: Buffer) => gunzipSync(data),
    zstd: async (data: Buffer) => zstdDecompressSync(data),
    lz4: async (data: Buffer) => unpackLz4(data),
  };
  const vmlinux = payload === null ? Buffer.alloc(0) : await unpack[payload.compression](payload.data);
  if (!isElf(vmlinux)) throw refuse('unpacking')('The compression of the kernel is not supported.');
  return vmlinux;
};

/**
 * Debian's cloud kernel, fetched and unpacked but not installed.
 * @throws {SetUpRefusedError} `kernel-failed`
 */
export const fetchKernel = async (wanted: readonly string[] = MODULES): Promise<GuestKernel> => {
  const work = await mkdtemp(join(tmpdir(), 'bulkhead-kernel-'));
  try {
    const name = await resolvePackage();
    await runProgram('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], {
      folder: work,
      refuse: refuse('apt-get download'),
    });
    const deb = (await readdir(work)).find((file) => file.endsWith('.deb'));
    if (!deb) throw refuse('apt-get download')('No package was downloaded.');
    const tree = join(work, 'tree');
    await mkdir(tree);
    await runProgram('dpkg', ['-x', join(work, deb), tree], { refuse: refuse('dpkg -x') });
    const release = name.replace('linux-image-', '');
    const modulesFolder = ['lib/modules', 'usr/lib/modules'].map((folder) => join(tree, folder, release));
    const found = await Promise.any(modulesFolder.map((folder) => readdir(folder).then(() => folder)));
    return {
      release,
      vmlinux: await unpackKernel(await readFile(join(tree, 'boot', `vmlinuz-${release}`))),
      modules: await collectModules(found, wanted, async (path) => decompressXz(await readFile(path))),
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};
