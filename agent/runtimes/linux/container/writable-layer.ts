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

/** e2fsck's exit code is a sum: 1 repaired, 2 repaired and reboot, from 4 on not repaired. */
const FSCK_UNREPAIRED = 4;

/** What e2fsck says of a journal that it may not replay. */
const JOURNAL_LEFT = 'skipping journal recovery';

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * Containers' writable layers: one ext4 each, which holds an overlay's upper and work folders, so that it can be
 * mounted here or be the disk of a VM. All of its disk is allocated when it is made: what a container writes can't run
 * out of room on the host, and takes none from anything else on it.
 *
 * Only one may have it at a time. The attach lock is a file that names who has it: `host`, or a VM's id. It goes
 * when the layer has been unmounted in order; one that is found by who comes next tells that it has not, and then
 * the file system is checked before it is mounted again.
 */
export class WritableLayers {
  readonly #deps: LinuxDeps;
  readonly #empty: EmptyLayers;

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
    this.#empty = new EmptyLayers(deps);
  }

  /** Makes the empty layer that most others begin as copies of, so that no start has to. */
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
   * @param recorded the layer is there only once this resolves; its disk is allocated in the meantime
   * @throws {RuntimeError} `step-failed` where the host's disk has no room for it
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
   * Takes the layer for `by`.
   * @param isHeld whether that holder still really has it
   * @throws {RuntimeError} `invalid-state` when another has it, `step-failed` when it is damaged beyond repair or not
   * as Bulkhead makes it
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

  /** The layer has been unmounted in order. */
  async detach(id: string): Promise<void> {
    await rm(this.#paths(id).attachLock, { force: true });
  }

  /**
   * Checks the file system and repairs what can be; replays its journal. One that is in order is only read, so that
   * a later failure has changed nothing.
   * @throws {RuntimeError} `step-failed` when it is damaged beyond repair, or not as Bulkhead makes it
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
    // A backup of the superblock may have taken its place.
    await this.#refuseForeign(id);
  }

  async #refuseForeign(id: string): Promise<void> {
    const foreign = await findForeignSuperblock(this.#paths(id).scratch);
    if (foreign !== null) throw unmountable(id, foreign);
  }

  /** The program reads what hostile code may have written, so it runs as a user of its own, with nothing else. */
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
