import { existsSync, readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { IsolationReport } from '../../../../core/contract/compute-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { containerPaths } from '../layout.ts';
import { runOrFail } from '../run-command.ts';

/** Number of ids in a namespace, as in `helper/helper.h`. */
export const NAMESPACE_IDS = 65_536;
/**
 * Above the ranges of systemd's containers (0x80000 to 0x6fffffff) and of Debian's subordinate ids, and below the users of
 * utility VMs (`leases.ts`).
 * Source: "Users, Groups, UIDs and GIDs on systemd Systems".
 */
const FIRST_ID = 0x7000_0000;

/** A range of this machine's ids, including both ends. */
interface IdRange {
  readonly from: number;
  readonly to: number;
}

export interface UserNamespace {
  /** The bind mount that keeps the namespace alive. */
  readonly path: string;
  /** The id on this machine of root in the namespace. */
  readonly firstId: number;
}

/**
 * The user namespaces of Default containers. Each container has its own, with a range of ids that no other container, user or
 * group of this machine uses. It exists from the first step that needs it until the root file system is unmounted and the
 * network endpoint is removed. The range is a lease, so a restarted agent finds the same range.
 */
export class UserNamespaces {
  readonly #deps: LinuxDeps;
  readonly #taken = new Map<string, UserNamespace>();

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
  }

  /** Returns the container's range and the path of its namespace. The helper creates the namespace on first use. */
  async take(id: string): Promise<UserNamespace> {
    const known = this.#taken.get(id);
    if (known) return known;
    const { userNamespace: path } = containerPaths(this.#deps.layout, id);
    const taken = { path, firstId: await this.#takeRange(id) };
    this.#taken.set(id, taken);
    return taken;
  }

  /** No effect if the container has none. */
  async remove(id: string): Promise<void> {
    const { userNamespace } = containerPaths(this.#deps.layout, id);
    if (existsSync(userNamespace))
      await runOrFail('The user namespace could not be removed', this.#deps.artifacts.helper, [
        'unmount-layers',
        userNamespace,
      ]);
    await rm(userNamespace, { force: true });
    this.#taken.delete(id);
    await this.#deps.leases.release('ids', id);
  }

  async #takeRange(id: string): Promise<number> {
    let taken: Promise<readonly IdRange[]> | null = null;
    const isFree = async (index: number) => {
      taken ??= readTakenIds();
      return !(await taken).some((range) => overlaps(firstIdOf(index), range));
    };
    return firstIdOf(await this.#deps.leases.take('ids', id, isFree));
  }
}

const firstIdOf = (index: number): number => FIRST_ID + index * NAMESPACE_IDS;
export const overlaps = (first: number, { from, to }: IdRange): boolean =>
  first <= to && from < first + NAMESPACE_IDS;

/** Parses ids from `/etc/passwd` or `/etc/group` (third field), or `/etc/subuid` or `/etc/subgid` (first id and count). */
export const parseIds = (text: string, kind: 'single' | 'range'): IdRange[] =>
  text.split('\n').flatMap((line) => {
    const fields = line.split(':');
    const from = Number(fields[kind === 'single' ? 2 : 1]);
    const count = kind === 'single' ? 1 : Number(fields[2]);
    return fields.length < 3 || !(count > 0) || !Number.isFinite(from)
      ? []
      : [{ from, to: from + count - 1 }];
  });

/** The ids that this machine assigns to users, groups, and the user namespaces of users. */
const readTakenIds = async (): Promise<IdRange[]> => {
  const read = async (name: string, kind: 'single' | 'range') =>
    parseIds(await readFile(`/etc/${name}`, 'utf8').catch(() => ''), kind);
  const files = ['passwd', 'group'].map((name) => read(name, 'single'));
  const ranges = ['subuid', 'subgid'].map((name) => read(name, 'range'));
  return (await Promise.all([...files, ...ranges])).flat();
};

/**
 * The ids on this machine of a process's user namespace; null if it is this machine's namespace, as in containers that an
 * earlier version started.
 */
export const idMapOf = (pid: number): NonNullable<IsolationReport['userNamespace']> | null => {
  const [inside, firstHostId, count] = readFileSync(`/proc/${pid}/uid_map`, 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  if (inside !== 0 || !firstHostId || !count) return null;
  return { firstHostId, count };
};

/** The id on this machine of root in a process's user namespace. */
export const rootIdOf = (pid: number): number => idMapOf(pid)?.firstHostId ?? 0;
