import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTENING = '0A';

const linesOf = (file: string): readonly string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
};

/** Inodes of the sockets that listen on a port (`man 5 proc`, /proc/net/tcp). */
const listeningInodes = (port: number): ReadonlySet<string> => {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const line of [...linesOf('/proc/net/tcp'), ...linesOf('/proc/net/tcp6')]) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    if (local.endsWith(`:${wanted}`) && state === LISTENING && inode !== undefined) inodes.add(inode);
  }
  return inodes;
};

const holdsOneOf = (pid: string, inodes: ReadonlySet<string>): boolean => {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '');
    });
  } catch {
    // Another user's process, or one that has just ended.
    return false;
  }
};

const COMMAND_CHARACTERS = 80;

const commandOf = (pid: string): string =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, COMMAND_CHARACTERS);

/** The process that listens on a TCP port, as `node server.js (pid 123)`; undefined if unknown. Linux only. */
export const findPortOwner = (port: number): string | undefined => {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  const pid = readdirSync('/proc').find((entry) => /^\d+$/.test(entry) && holdsOneOf(entry, inodes));
  return pid === undefined ? undefined : `${commandOf(pid)} (pid ${pid})`;
};
