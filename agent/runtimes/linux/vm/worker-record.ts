import * as z from 'zod/mini';
import { addMembers, type RecordFormat } from '../../../formats/record-format.ts';

/** What is known of a worker process; written before it exists, so that none is ever without its record. */
const WorkerRecordSchema = z.strictObject({
  vmId: z.string(),
  /** The container of the VM; null while it waits in the pool. A VM never changes its container. */
  containerId: z.nullable(z.string()),
  uid: z.int(),
  /** Code of an image may have run in it; written before it does. */
  ranImageCode: z.boolean(),
  ramMB: z.int(),
  cpus: z.number(),
  accelerator: z.enum(['kvm', 'tcg']),
  /** Null until it has begun. */
  process: z.nullable(z.strictObject({ pid: z.int(), startTicks: z.number() })),
  createdAtMs: z.number(),
});
export type WorkerRecord = z.infer<typeof WorkerRecordSchema>;

export const WorkerFormat: RecordFormat<WorkerRecord> = {
  name: 'VM record',
  schema: WorkerRecordSchema,
  // The first agents did not record it: it must be assumed then.
  upgrades: [addMembers({ ranImageCode: true })],
};
