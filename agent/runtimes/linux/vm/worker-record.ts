import * as z from 'zod/mini';
import { addMembers, type RecordFormat } from '../../../formats/record-format.ts';

/** The record of a worker process. Written before the process starts, so that each process has a record. */
const WorkerRecordSchema = z.strictObject({
  vmId: z.string(),
  /** The container of the VM; null while the VM waits in the pool. It never changes afterwards. */
  containerId: z.nullable(z.string()),
  uid: z.int(),
  /** Whether image code may have run in the VM. Written before the code runs. */
  ranImageCode: z.boolean(),
  ramMB: z.int(),
  cpus: z.number(),
  accelerator: z.enum(['kvm', 'tcg']),
  /** Null until the process has started. */
  process: z.nullable(z.strictObject({ pid: z.int(), startTicks: z.number() })),
  createdAtMs: z.number(),
});
export type WorkerRecord = z.infer<typeof WorkerRecordSchema>;

export const WorkerFormat: RecordFormat<WorkerRecord> = {
  name: 'VM record',
  schema: WorkerRecordSchema,
  // Version 0 did not record this, so true must be assumed.
  upgrades: [addMembers({ ranImageCode: true })],
};
