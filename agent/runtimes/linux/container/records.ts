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

/** What a container is on this host; there from when its writable layer is. */
const ContainerRecordSchema = z.strictObject({
  id: z.string(),
  runtimeType: z.enum(RUNTIME_TYPES),
  /** Name and digest of the image; the digest is what counts from now on. */
  image: z.string(),
  digest: z.string(),
  /** Size of the writable layer; none in records from before disks were counted. */
  diskMB: z.optional(z.int()),
  /** Code of an image may have run in a VM with this disk since it last ran here; written before that is possible. */
  untrustedDisk: z.boolean(),
});
export type ContainerRecord = z.infer<typeof ContainerRecordSchema>;

export const ContainerFormat: RecordFormat<ContainerRecord> = {
  name: 'container record',
  schema: ContainerRecordSchema,
  upgrades: [addMembers({ untrustedDisk: false })],
};

/** A run of the main process; written before it begins, so that none begins twice. */
const RunRecordSchema = z.strictObject({
  instanceId: z.string(),
  runtimeType: z.enum(RUNTIME_TYPES),
  startedAtMs: z.number(),
  /** On the host: of a Default container. */
  process: z.nullable(z.strictObject({ pid: z.int(), startTicks: z.number() })),
  supervisor: z.nullable(z.strictObject({ pid: z.int(), startTicks: z.number() })),
  begun: z.boolean(),
  /** Where its output begins in the container's log; none in records of earlier versions. */
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
  /** It was killed because the container had reached its limit of memory. */
  outOfMemory: z.optional(z.boolean()),
});
export type ExitRecord = z.infer<typeof ExitRecordSchema>;

/** The helper of a process container writes it too (`helper/run-container.c`), also one that an older agent started. */
export const ExitFormat: RecordFormat<ExitRecord> = {
  name: 'exit record',
  schema: ExitRecordSchema,
  upgrades: [addMembers()],
};

const RESERVE_BYTES = 1024 * 1024;

/** What is remembered of containers, in files of their own; what they run, and how that ended, also on a full disk. */
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
  /** How many containers are made from an image's digest. */
  async madeFrom(digest: string): Promise<number> {
    const records = await Promise.all((await this.ids()).map((id) => this.container(id)));
    return records.filter((record) => record?.digest === digest).length;
  }
  container(id: string): Promise<ContainerRecord | null> {
    return readRecord(this.#paths(id).record, ContainerFormat);
  }
  /** @throws {RuntimeError} `invalid-state` when there is none */
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
