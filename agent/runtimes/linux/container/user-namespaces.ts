import { existsSync, readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { IsolationReport } from '../../../../core/contract/compute-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { containerPaths } from '../layout.ts';
import { runOrFail } from '../run-command.ts';

/** How many ids a namespace has; `helper/helper.h` says the same. */
export const NAMESPACE_IDS = 65_536;
/**
 * Above what systemd gives to its own containers (0x80000 to 0x6fffffff) and Debian to people's subordinate ids, and
 * below the users of utility VMs (`leases.ts`).
 * Source: "Users, Groups, UIDs and GIDs on systemd Systems".
 */
const FIRST_ID = 0x7000_0000;

/** A range of this machine's ids, both ends included. */
interface IdRange {
  readonly from: number;
  readonly to: number;
}

export interface UserNamespace {
  /** The file that keeps it. */
  readonly path: string;
  /** The id on this machine that is root inside. */
  readonly firstId: number;
}

/**
 * The user namespaces of Default containers, one each, with a range of ids that no other container, user or group of
 * this machine has. A container has one from the first step that needs it until its root is unmounted and its
 * network endpoint is gone. The range is a lease, so a restarted agent finds the same one.
 */
export class UserNamespaces {
  readonly #deps: LinuxDeps;
  readonly #taken = new Map<string, UserNamespace>();

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
  }

  /** The container's range, and where its namespace is kept: the helper makes it with what needs it first. */
  async take(id: string): Promise<UserNamespace> {
    const known = this.#taken.get(id);
    if (known) return known;
    const { userNamespace: path } = containerPaths(this.#deps.layout, id);
    const taken = { path, firstId: await this.#takeRange(id) };
    this.#taken.set(id, taken);
    return taken;
  }

  /** Nothing happens when there is none. */
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

/** Ids of an `/etc/passwd`, `/etc/group` (the third field) or `/etc/subuid`, `/etc/subgid` (a first one and a count). */
export const parseIds = (text: string, kind: 'single' | 'range'): IdRange[] =>
  text.split('\n').flatMap((line) => {
    const fields = line.split(':');
    const from = Number(fields[kind === 'single' ? 2 : 1]);
    const count = kind === 'single' ? 1 : Number(fields[2]);
    return fields.length < 3 || !(count > 0) || !Number.isFinite(from)
      ? []
      : [{ from, to: from + count - 1 }];
  });

/** The ids that this machine has given to its users, its groups, and their own user namespaces. */
const readTakenIds = async (): Promise<IdRange[]> => {
  const read = async (name: string, kind: 'single' | 'range') =>
    parseIds(await readFile(`/etc/${name}`, 'utf8').catch(() => ''), kind);
  const files = ['passwd', 'group'].map((name) => read(name, 'single'));
  const ranges = ['subuid', 'subgid'].map((name) => read(name, 'range'));
  return (await Promise.all([...files, ...ranges])).flat();
};

/**
 * Which ids of this machine the users of a process's user namespace are; null when they are this machine's own, as in
 * containers that an earlier version started.
 */
export const idMapOf = (pid: number): NonNullable<IsolationReport['userNamespace']> | null => {
  const [inside, firstHostId, count] = readFileSync(`/proc/${pid}/uid_map`, 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  if (inside !== 0 || !firstHostId || !count) return null;
  return { firstHostId, count };
};

/** Which id of this machine is root for a process. */
export const rootIdOf = (pid: number): number => idMapOf(pid)?.firstHostId ?? 0;
