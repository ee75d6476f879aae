import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { RUNTIME_TYPES } from '../../../../core/contract/primitives.ts';
import { DiskReserve } from '../../../disk-reserve.ts';
import { RuntimeError } from '../../../errors.ts';
import { addMembers, type RecordFormat } from '../../../formats/record-format.ts';
import type { LinuxDeps } from '../deps.ts';
import { readRecord, writeRecord } from '../files.ts';
import { containerPaths } from '../layout.ts';

/** A container on this host. The record exists as long as the writable layer. */
const ContainerRecordSchema = z.strictObject({
  id: z.string(),
  runtimeType: z.enum(RUNTIME_TYPES),
  /** Name and digest of the image. From now on the digest identifies it. */
  image: z.string(),
  digest: z.string(),
  /** Size of the writable layer; missing in records of versions without disk reservations. */
  diskMB: z.optional(z.int()),
  /** Whether image code may have run in a VM with this disk since the container last ran on this host. Written before it can run. */
  untrustedDisk: z.boolean(),
});
export type ContainerRecord = z.infer<typeof ContainerRecordSchema>;

export const ContainerFormat: RecordFormat<ContainerRecord> = {
  name: 'container record',
  schema: ContainerRecordSchema,
  upgrades: [addMembers({ untrustedDisk: false })],
};

/** A run of the main process. Written before the run starts, so that no run starts twice. */
const RunRecordSchema = z.strictObject({
  instanceId: z.string(),
  runtimeType: z.enum(RUNTIME_TYPES),
  startedAtMs: z.number(),
  /** The process on the host, for a Default container. */
  process: z.nullable(z.strictObject({ pid: z.int(), startTicks: z.number() })),
  supervisor: z.nullable(z.strictObject({ pid: z.int(), startTicks: z.number() })),
  begun: z.boolean(),
  /** Where the run's output begins in the container's log; missing in records of earlier versions. */
  logStart: z.optional(z.string()),
});
export type RunRecord = z.infer<typeof RunRecordSchema>;

export const RunFormat: RecordFormat<RunRecord> = {
  name: 'run record',
  schema: RunRecordSchema,
  upgrades: [addMembers()],
};

const ExitRecordSchema = z.strictObject({
  /** Null if its end was not observed. */
  exitCode: z.nullable(z.int()),
  signal: z.int(),
  endedAtMs: z.number(),
  reason: z.optional(z.string()),
  /** Whether it was killed because the container reached its memory limit. */
  outOfMemory: z.optional(z.boolean()),
});
export type ExitRecord = z.infer<typeof ExitRecordSchema>;

/** Also written by the helper of a process container (`helper/run-container.c`), even if an older agent started it. */
export const ExitFormat: RecordFormat<ExitRecord> = {
  name: 'exit record',
  schema: ExitRecordSchema,
  upgrades: [addMembers()],
};

const RESERVE_BYTES = 1024 * 1024;

/** Records of containers, one file each. Runs and exits can be written even on a full disk. */
export class ContainerRecords {
  readonly #deps: Pick<LinuxDeps, 'layout'>;
  readonly #reserve: DiskReserve;
  constructor(deps: Pick<LinuxDeps, 'layout'>) {
    this.#deps = deps;
    this.#reserve = new DiskReserve(join(deps.layout.state, 'records.reserve'), RESERVE_BYTES);
  }

  async ids(): Promise<string[]> {
    return (await readdir(this.#deps.layout.containers).catch(() => [])).filter((name) =>
      /^[0-9a-f-]{36}$/.test(name),
    );
  }
  /** The number of containers that use an image's digest. */
  async madeFrom(digest: string): Promise<number> {
    const records = await Promise.all((await this.ids()).map((id) => this.container(id)));
    return records.filter((record) => record?.digest === digest).length;
  }
  container(id: string): Promise<ContainerRecord | null> {
    return readRecord(this.#paths(id).record, ContainerFormat);
  }
  /** @throws {RuntimeError} `invalid-state` if there is no record */
  async require(id: string): Promise<ContainerRecord> {
    const record = await this.container(id);
    if (record !== null) return record;
    throw new RuntimeError('invalid-state', 'The container is not on this host');
  }
  saveContainer(record: ContainerRecord): Promise<void> {
    return writeRecord(this.#paths(record.id).record, ContainerFormat, record, true);
  }
  run(id: string): Promise<RunRecord | null> {
    return readRecord(this.#paths(id).runRecord, RunFormat);
  }
  saveRun(id: string, record: RunRecord): Promise<void> {
    return this.#reserve.useFor(() => writeRecord(this.#paths(id).runRecord, RunFormat, record));
  }
  exit(id: string): Promise<ExitRecord | null> {
    return readRecord(this.#paths(id).exit, ExitFormat);
  }
  saveExit(id: string, record: ExitRecord): Promise<void> {
    return this.#reserve.useFor(() => writeRecord(this.#paths(id).exit, ExitFormat, record));
  }

  #paths(id: string) {
    return containerPaths(this.#deps.layout, id);
  }
}
