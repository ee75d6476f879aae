import * as z from 'zod/mini';
import { IdSchema, TimestampSchema } from './primitives.ts';

/** The source of Bulkhead's own events on the bus. */
export const EVENT_SOURCE = 'bulkhead';

/** `detail-type` on the bus, and `type` in the list of events. */
export const EVENT_TYPES = [
  'Container Created',
  'Container State Changed',
  'Container Updated',
  'Container Network Changed',
  'Container Removed',
  'Operation State Changed',
  'Host Enrolled',
  'Host State Changed',
  'Host Updated',
  'Host Removed',
  'Image Added',
  'Image Removed',
  'Session Opened',
  'Session Ended',
  'Command Refused',
] as const;
export const EventTypeSchema = z.enum(EVENT_TYPES);
export type EventType = z.infer<typeof EventTypeSchema>;

export const SessionFactsSchema = z.strictObject({
  kind: z.enum(['exec', 'session', 'attach']),
  containerId: IdSchema,
  /** Null: a shell, or with `attach` the main process. */
  command: z.nullable(z.array(z.string())),
  /** As requested; null: the default. */
  user: z.nullable(z.string()),
  tty: z.boolean(),
  seconds: z.nullable(z.number()),
  exitCode: z.nullable(z.int()),
  reason: z.nullable(z.string()),
});
export type SessionFacts = z.infer<typeof SessionFactsSchema>;

/** The `detail` on the bus, and in the list of events. */
export const EventSchema = z.strictObject({
  id: z.string(),
  time: TimestampSchema,
  type: EventTypeSchema,
  resource: z.strictObject({
    kind: z.enum(['container', 'operation', 'host', 'image', 'session', 'command']),
    id: z.string(),
    name: z.optional(z.string()),
  }),
  /** The revision of the resource after the change, by which consumers order the events of a resource. */
  revision: z.int(),
  previousState: z.nullable(z.string()),
  /** The new state. In `Command Refused`: why the command was refused. */
  state: z.nullable(z.string()),
  runtimeType: z.optional(z.string()),
  /** Of a container. */
  image: z.optional(z.string()),
  /** Of a main process that has ended; null if it is not known. */
  exitCode: z.optional(z.nullable(z.int())),
  hostId: z.optional(z.nullable(IdSchema)),
  operationId: z.nullable(IdSchema),
  /** Facts about a session, but never its content. */
  session: z.optional(SessionFactsSchema),
  /** The token's subject, `host:<id>`, or `bulkhead` for the control plane itself. */
  actor: z.string(),
});
export type Event = z.infer<typeof EventSchema>;

/** The detail on the bus, which includes the tenant so that rules can match it. */
export const BusEventDetailSchema = z.strictObject({ tenant: z.string(), ...EventSchema.shape });
