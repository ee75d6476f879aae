import { access, chown, mkdir, rm } from 'node:fs/promises';
import * as z from 'zod/mini';
import { RuntimeError } from '../../../errors.ts';
import { addMembers, encodeRecord, type RecordFormat } from '../../../formats/record-format.ts';
import type { LinuxDeps } from '../deps.ts';
import { createExclusively, readRecord } from '../files.ts';
import { containerPaths } from '../layout.ts';
import { type CommandOutcome, runCommand } from '../run-command.ts';
import { EmptyLayers } from './empty-layer.ts';
import { findForeignSuperblock } from './superblock.ts';
import { unmountable } from './unmountable.ts';

const AttachmentSchema = z.strictObject({ by: z.string() });
export const AttachmentFormat: RecordFormat<z.infer<typeof AttachmentSchema>> = {
  name: 'attach lock',
  schema: AttachmentSchema,
  upgrades: [addMembers()],
};
export const BY_HOST = 'host';

/** e2fsck's exit code is a sum: 1 repaired, 2 repaired and reboot needed, 4 and above not repaired. */
const FSCK_UNREPAIRED = 4;

/** e2fsck's message about a journal that it was not allowed to replay. */
const JOURNAL_LEFT = 'skipping journal recovery';

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * The writable layers of containers. Each is an ext4 with an overlay's upper and work folders, so that it can be mounted on this
 * host or be the disk of a VM. All its disk space is allocated when it is created, so a container's writes neither fail because
 * the host's disk is full nor use other space on it.
 *
 * A layer has at most one holder. The attach lock is a file that names the holder: `host` or a VM's id. It is deleted after the
 * layer has been unmounted cleanly. A stale lock means an unclean unmount, so the file system is checked before the next mount.
 */
export class WritableLayers {
  readonly #deps: LinuxDeps;
  readonly #empty: EmptyLayers;

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
    this.#empty = new EmptyLayers(deps);
  }

  /** Creates the empty layer of the default size in advance, because most layers begin as its copy. */
  async prepare(sizeMB: number): Promise<void> {
    await this.#empty.get(sizeMB);
  }

  exists(id: string): Promise<boolean> {
    return isThere(this.#paths(id).scratch);
  }

  async createFolder(id: string): Promise<void> {
    await mkdir(this.#paths(id).folder, { recursive: true, mode: 0o700 });
  }

  /**
   * @param recorded the layer appears only after this resolves; its disk space is allocated in the meantime
   * @throws {RuntimeError} `step-failed` if the host has too little disk space
   */
  async create(id: string, sizeMB: number, recorded: Promise<void> = Promise.resolve()): Promise<void> {
    const { scratch } = this.#paths(id);
    if (await isThere(scratch)) return;
    const empty = await this.#empty.get(sizeMB);
    await empty.copyTo(scratch, recorded);
  }

  /** Owner of the layer: `host`, a VM's id, or none. */
  async holder(id: string): Promise<string | null> {
    return (await readRecord(this.#paths(id).attachLock, AttachmentFormat))?.by ?? null;
  }

  /**
   * Acquires the layer for `by`.
   * @param isHeld whether a recorded holder still uses the layer
   * @throws {RuntimeError} `invalid-state` if another holder uses it, `step-failed` if it cannot be repaired or Bulkhead did not
   * format it
   */
  async attach(id: string, by: string, isHeld: (holder: string) => Promise<boolean>): Promise<void> {
    const { attachLock } = this.#paths(id);
    if (by === BY_HOST) await this.#refuseForeign(id);
    const text = encodeRecord(AttachmentFormat, { by });
    if (await createExclusively(attachLock, text)) return;
    const holder = await this.holder(id);
    if (holder !== null && (await isHeld(holder))) {
      if (holder === by) return;
      throw new RuntimeError('invalid-state', 'The writable layer is in use');
    }
    await this.check(id);
    await rm(attachLock, { force: true });
    await createExclusively(attachLock, text);
  }

  /** Releases the layer after a clean unmount. */
  async detach(id: string): Promise<void> {
    await rm(this.#paths(id).attachLock, { force: true });
  }

  /**
   * Checks the file system, replays its journal and repairs it if necessary. An intact file system is only read, so that a later
   * failure leaves it unchanged.
   * @throws {RuntimeError} `step-failed` if it cannot be repaired, or if Bulkhead did not format it
   */
  async check(id: string): Promise<void> {
    await this.#refuseForeign(id);
    const looked = await this.#e2fsck(id, '-n');
    if (looked.code === 0 && !looked.stdout.includes(JOURNAL_LEFT) && !looked.stderr.includes(JOURNAL_LEFT))
      return;
    const outcome = await this.#e2fsck(id, '-y');
    this.#deps.log.info('checked a writable layer', { containerId: id, exitCode: outcome.code });
    if (outcome.code >= FSCK_UNREPAIRED)
      throw unmountable(id, `it is damaged, and e2fsck could not repair it (exit code ${outcome.code})`);
    // e2fsck may have restored the superblock from a backup.
    await this.#refuseForeign(id);
  }

  async #refuseForeign(id: string): Promise<void> {
    const foreign = await findForeignSuperblock(this.#paths(id).scratch);
    if (foreign !== null) throw unmountable(id, foreign);
  }

  /** Runs e2fsck as a separate user without privileges, because it reads data that hostile code may have written. */
  async #e2fsck(id: string, mode: '-n' | '-y'): Promise<CommandOutcome> {
    const { scratch } = this.#paths(id);
    const { leases, artifacts } = this.#deps;
    const lease = `check/${id}`;
    const uid = await leases.take('uid', lease);
    try {
      return await runCommand(artifacts.helper, [
        ...['check-disk', `uid=${uid}`, `file=${scratch}`],
        ...['--', 'e2fsck', '-f', mode, '--', '/disk'],
      ]);
    } finally {
      await chown(scratch, 0, 0);
      await leases.release('uid', lease);
    }
  }

  #paths(id: string) {
    return containerPaths(this.#deps.layout, id);
  }
}
