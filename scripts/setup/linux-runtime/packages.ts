import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { SetUpRefusedError } from './refusal.ts';
import { runProgram } from './run-program.ts';

/** Programs of the Linux runtime, and the Debian packages that contain them. */
const PROGRAMS: readonly (readonly [program: string, packages: readonly string[]])[] = [
  ['qemu-system-x86_64', ['qemu-system-x86']],
  ['runc', ['runc']],
  ['mksquashfs', ['squashfs-tools']],
  // For Default containers where the kernel is older than 6.2.
  ['mkfs.erofs', ['erofs-utils']],
  ['mkfs.ext4', ['e2fsprogs']],
  ['ip', ['iproute2']],
  ['nft', ['nftables']],
  ['conntrack', ['conntrack']],
  ['umoci', ['umoci']],
  ['skopeo', ['skopeo', 'ca-certificates']],
  ['busybox', ['busybox-static']],
  ['gcc', ['gcc', 'libc6-dev']],
  ['xz', ['xz-utils']],
];
/** Folders of programs on Debian. The PATH of an ordinary user lacks some of them. */
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

const isInstalled = async (program: string): Promise<boolean> => {
  const found = await Promise.all(
    FOLDERS.map((folder) =>
      access(join(folder, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
};

export const missingPackages = async (): Promise<string[]> => {
  const present = await Promise.all(PROGRAMS.map(([program]) => isInstalled(program)));
  return [...new Set(PROGRAMS.filter((_, index) => !present[index]).flatMap(([, packages]) => packages))];
};

/**
 * Installs missing packages with apt-get.
 * @throws {SetUpRefusedError} `not-root`, `no-apt` or `packages-failed`
 */
export const installPackages = async (packages: readonly string[]): Promise<void> => {
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (!(await isInstalled('apt-get')))
    throw new SetUpRefusedError(
      'no-apt',
      `These Debian packages, or their equivalents on your system, are missing: ${packages.join(', ')}`,
      'Install them with your package manager, then start again.',
    );
  const refuse = (output: string) =>
    new SetUpRefusedError(
      'packages-failed',
      `Installing ${packages.join(', ')} failed. Output of apt-get:\n${output}`,
      `Run: sudo ${command}`,
    );
  const install = () =>
    runProgram('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { refuse });
  // Without package lists, apt-get finds no package.
  await install().catch(async () => {
    await runProgram('apt-get', ['update'], { refuse });
    await install();
  });
};
