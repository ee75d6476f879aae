import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BLOCK_BYTES = 4096;
const SUPERBLOCK_AT = 1024;

/** Changes a disk's file as root in a utility VM could change the raw disk. Throws if that fails. */
export const debugfs = (disk: string, ...requests: readonly string[]): void => {
  const folder = mkdtempSync(join(tmpdir(), 'craft-'));
  try {
    const script = join(folder, 'requests');
    writeFileSync(script, `${requests.join('\n')}\n`);
    const { stderr } = spawnSync('debugfs', ['-w', '-f', script, disk], { encoding: 'utf8' });
    // Its first line is the version. The others are errors.
    const complaints = stderr.split('\n').slice(1).join('\n').trim();
    if (complaints !== '') throw new TypeError(complaints);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const tune = (disk: string, ...options: readonly string[]): void => {
  execFileSync('tune2fs', ['-f', ...options, disk], { stdio: 'ignore' });
};

const overwrite = (disk: string, at: number, bytes: Buffer): void => {
  const file = openSync(disk, 'r+');
  try {
    writeSync(file, bytes, 0, bytes.length, at);
  } finally {
    closeSync(file);
  }
};

const blockOfJournal = (disk: string): number =>
  Number(execFileSync('debugfs', ['-R', 'bmap <8> 0', disk], { encoding: 'utf8', stdio: 'pipe' }).trim());

const REMOVE_UPPER = ['rmdir /upper'];
const REMOVE_WORK = ['rmdir /work/work', 'rmdir /work'];
/** The same path with leading `..` components. */
const climbing = (path: string): string => `${'../'.repeat(12)}${path.slice(1)}`;
const inode = (path: string, field: string, value: string) => `set_inode_field ${path} ${field} ${value}`;
const value = (field: string, to: string) => `set_super_value ${field} ${to}`;

export interface CraftedDisk {
  readonly what: string;
  /** @param host a folder of the host that has the folders `upper` and `work` */
  readonly craft: (disk: string, host: string) => void;
  /** The expected problem; null if the disk is repaired or harmless, so that the container starts. */
  readonly problem: RegExp | null;
}

const by =
  (...requests: readonly string[]) =>
  (disk: string): void =>
    debugfs(disk, ...requests);
const notInRoot = (name: string) => new RegExp(`"/${name}" in its root is not an ordinary folder`);
const notAFolder = (name: string) => new RegExp(`"${name}" on its disk is not an ordinary folder`);

/** Disks on which something replaces one of the two folders. */
export const CRAFTED_FOLDERS: readonly CraftedDisk[] = [
  {
    what: 'upper and work are absolute links to folders of the host',
    craft: (disk, host) =>
      debugfs(
        disk,
        ...REMOVE_UPPER,
        ...REMOVE_WORK,
        `symlink /upper ${host}/upper`,
        `symlink /work ${host}/work`,
      ),
    problem: notAFolder('upper'),
  },
  {
    what: 'upper and work are relative links that climb to the host',
    craft: (disk, host) =>
      debugfs(
        disk,
        ...REMOVE_UPPER,
        ...REMOVE_WORK,
        `symlink /upper ${climbing(`${host}/upper`)}`,
        `symlink /work ${climbing(`${host}/work`)}`,
      ),
    problem: notAFolder('upper'),
  },
  {
    what: 'only work is a link',
    craft: (disk, host) => debugfs(disk, ...REMOVE_WORK, `symlink /work ${host}/work`),
    problem: notAFolder('work'),
  },
  {
    what: 'upper is a link to a folder of the disk itself',
    craft: by(...REMOVE_UPPER, 'mkdir /elsewhere', 'symlink /upper elsewhere'),
    problem: notAFolder('upper'),
  },
  {
    what: 'upper is a magic link',
    craft: by(...REMOVE_UPPER, 'symlink /upper /proc/self/root/etc'),
    problem: notAFolder('upper'),
  },
  {
    what: 'upper is a file',
    craft: by(...REMOVE_UPPER, 'write /etc/hostname upper'),
    problem: notAFolder('upper'),
  },
  {
    what: 'upper is a named pipe',
    craft: by(...REMOVE_UPPER, 'mknod upper p'),
    problem: notAFolder('upper'),
  },
  {
    what: 'upper is a block device of the host',
    craft: by(...REMOVE_UPPER, 'mknod upper b 7 0'),
    problem: notAFolder('upper'),
  },
  {
    what: 'work is a character device',
    craft: by(...REMOVE_WORK, 'mknod work c 1 1'),
    problem: notAFolder('work'),
  },
  {
    what: 'upper is a socket',
    craft: by(...REMOVE_UPPER, 'mknod upper p', inode('/upper', 'mode', '0140755')),
    problem: notAFolder('upper'),
  },
  {
    what: 'work belongs to another user',
    craft: by(inode('/work', 'uid', '1000')),
    problem: /"work" on its disk belongs to user 1000/,
  },
  {
    what: 'work/work is a link to a folder of the host',
    craft: (disk, host) => debugfs(disk, 'rmdir /work/work', `symlink /work/work ${host}/work`),
    problem: null,
  },
  {
    what: 'upper and work are one folder',
    craft: by(...REMOVE_WORK, 'link /upper /work', inode('/upper', 'links_count', '3')),
    problem: null,
  },
  {
    what: 'a folder contains itself',
    craft: by('mkdir /upper/loop', 'link /upper/loop /upper/loop/again', 'link /upper /upper/loop/up'),
    problem: null,
  },
  {
    what: 'an attribute redirects a folder of the overlay to the host',
    craft: (disk, host) =>
      debugfs(disk, 'mkdir /upper/home', `ea_set /upper/home trusted.overlay.redirect ${climbing(host)}`),
    problem: null,
  },
  {
    what: 'an attribute says that a file has its content elsewhere',
    craft: (disk, host) =>
      debugfs(
        disk,
        'write /etc/hostname upper/shown',
        'ea_set /upper/shown trusted.overlay.metacopy ""',
        `ea_set /upper/shown trusted.overlay.redirect ${host}/upper/secret`,
      ),
    problem: null,
  },
];

/** Disks whose superblock has values for the kernel or e2fsck that Bulkhead never writes. */
export const CRAFTED_SUPERBLOCKS: readonly CraftedDisk[] = [
  {
    what: 'an error is to make the kernel panic',
    craft: (disk) => tune(disk, '-e', 'panic'),
    problem: /behaviour on errors is 3/,
  },
  {
    what: 'the superblock contains mount options',
    craft: (disk) => tune(disk, '-E', 'mount_opts=journal_path=/dev/loop0'),
    problem: /contains mount options/,
  },
  {
    what: 'the default mount options are others',
    craft: (disk) => tune(disk, '-o', 'journal_data_writeback,debug'),
    problem: /default mount options differ/,
  },
  {
    what: 'the journal is on a device of the host',
    craft: by(value('journal_inum', '0'), value('journal_dev', '0x700')),
    problem: /journal inode is 0/,
  },
  {
    what: 'the journal is another inode',
    craft: by(value('journal_inum', '12')),
    problem: /journal inode is 12/,
  },
  { what: 'quotas', craft: (disk) => tune(disk, '-O', 'quota'), problem: /read-only features differ/ },
  { what: 'verity', craft: (disk) => tune(disk, '-O', 'verity'), problem: /read-only features differ/ },
  {
    what: 'encryption',
    craft: (disk) => tune(disk, '-O', 'encrypt'),
    problem: /incompatible features differ/,
  },
  {
    what: 'multiple mount protection',
    craft: by('feature mmp'),
    problem: /incompatible features differ/,
  },
  { what: 'casefolding', craft: by('feature casefold'), problem: /incompatible features differ/ },
  { what: 'bigalloc', craft: by('feature bigalloc'), problem: /read-only features differ/ },
  {
    what: 'a huge number of blocks',
    craft: by(value('blocks_count', '4000000000')),
    problem: /it has 4000000000 blocks/,
  },
  {
    what: 'a huge number of inodes',
    craft: by(value('inodes_count', '4294967295')),
    problem: /number of inodes does not match its size/,
  },
  {
    what: 'another magic number',
    craft: (disk) => overwrite(disk, SUPERBLOCK_AT + 0x38, Buffer.from([0x58, 0x46])),
    problem: /it has no ext4 file system/,
  },
  {
    what: 'a file that is cut short',
    craft: (disk) => truncateSync(disk, 4096),
    problem: /its file has 4096 bytes/,
  },
  { what: 'an empty file', craft: (disk) => truncateSync(disk, 0), problem: /too short for a file system/ },
  {
    what: 'a damaged journal',
    craft: (disk) => {
      const at = blockOfJournal(disk) * BLOCK_BYTES;
      debugfs(disk, 'feature needs_recovery');
      overwrite(disk, at, randomBytes(BLOCK_BYTES));
    },
    problem: null,
  },
];

/** Disks whose container root has unexpected files at paths that this machine mounts on or looks up. */
export const CRAFTED_ROOTS: readonly CraftedDisk[] = [
  ...['dev', 'proc', 'sys'].flatMap((name): CraftedDisk[] => [
    {
      what: `/${name} is a link to a folder of the host`,
      craft: (disk, host) => debugfs(disk, `symlink /upper/${name} ${host}/work`),
      problem: notInRoot(name),
    },
    {
      what: `/${name} is a link that climbs to the host`,
      craft: (disk, host) => debugfs(disk, `symlink /upper/${name} ${climbing(`${host}/work`)}`),
      problem: notInRoot(name),
    },
    { what: `/${name} is a file`, craft: by(`write /etc/hostname upper/${name}`), problem: notInRoot(name) },
  ]),
  {
    what: '/etc is a link to a folder of the host',
    craft: (disk, host) => debugfs(disk, `symlink /upper/etc ${host}/upper`),
    problem: null,
  },
  {
    what: '/etc/resolv.conf is a link to a file of the host',
    craft: (disk, host) =>
      debugfs(disk, 'mkdir /upper/etc', `symlink /upper/etc/resolv.conf ${climbing(`${host}/upper/secret`)}`),
    problem: null,
  },
  ...['hosts', 'hostname'].map((name) => ({
    what: `/etc/${name} is a link to a file of the host`,
    craft: (disk: string, host: string) =>
      debugfs(disk, 'mkdir /upper/etc', `symlink /upper/etc/${name} ${climbing(`${host}/upper/secret`)}`),
    problem: null,
  })),
  {
    what: '/etc/resolv.conf is a link to a file that the host does not have',
    craft: (disk, host) =>
      debugfs(disk, 'mkdir /upper/etc', `symlink /upper/etc/resolv.conf ${host}/work/made`),
    problem: null,
  },
];
