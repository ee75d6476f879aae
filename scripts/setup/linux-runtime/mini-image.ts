import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SetUpRefusedError } from './refusal.ts';
import { runProgram } from './run-program.ts';

const FOLDERS = [
  'bin',
  'dev',
  'etc',
  'home',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr/bin',
  'var/log',
  'var/tmp',
];
const FILES: Readonly<Record<string, string>> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  'etc/group': 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n',
  'etc/hosts': '127.0.0.1\tlocalhost\n::1\tlocalhost\n',
  'etc/hostname': '',
  'etc/resolv.conf': '',
  'etc/os-release': 'NAME="Bulkhead mini"\nID=mini\nVERSION_ID=1\nPRETTY_NAME="Bulkhead mini (busybox)"\n',
};

const refuse = (output: string) =>
  new SetUpRefusedError(
    'image-failed',
    `The image "mini" could not be created.\n${output}`,
    'Free some space in the temporary folder, then start again.',
  );

/** Links every command to busybox, which runs the command that it is called as. */
const linkApplets = async (tree: string): Promise<void> => {
  const list = (await runProgram('/bin/busybox', ['--list'], { refuse })).toString().split('\n');
  const applets = list.filter((name) => /^[a-z0-9[_.+-]+$/.test(name) && name !== 'busybox');
  await Promise.all(applets.map((name) => symlink('busybox', join(tree, 'bin', name))));
};

/** Writes the image `mini`, a squashfs with busybox only, to `path`. The same busybox results in the same bytes. */
export const makeMiniImage = async (path: string): Promise<void> => {
  const tree = await mkdtemp(join(tmpdir(), 'bulkhead-mini-'));
  try {
    await chmod(tree, 0o755);
    for (const folder of FOLDERS) await mkdir(join(tree, folder), { recursive: true });
    await Promise.all(['tmp', 'var/tmp'].map((folder) => chmod(join(tree, folder), 0o1777)));
    await copyFile('/bin/busybox', join(tree, 'bin/busybox'));
    await chmod(join(tree, 'bin/busybox'), 0o755);
    for (const [name, text] of Object.entries(FILES))
      await writeFile(join(tree, name), text, { mode: 0o644 });
    await linkApplets(tree);
    await rm(path, { force: true });
    await runProgram('mksquashfs', [tree, path, ...SQUASHFS_OPTIONS], { refuse });
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
};

const SQUASHFS_OPTIONS = [
  '-comp',
  'lz4',
  '-noappend',
  '-no-progress',
  '-all-root',
  '-mkfs-time',
  '0',
  '-all-time',
  '0',
];
