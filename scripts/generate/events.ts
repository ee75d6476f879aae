import * as z from 'zod/mini';
import { CONVERSION_REQUESTED, ConversionRequestSchema } from '../../core/contract/conversion-rule.ts';
import { BusEventDetailSchema, EVENT_SOURCE, EVENT_TYPES } from '../../core/contract/event.ts';

/** `Container State Changed` to `container-state-changed`. */
const fileOf = (detailType: string): string => detailType.toLowerCase().replaceAll(' ', '-');

/** An event as EventBridge delivers it. */
const envelope = (detailType: string, source: z.ZodMiniType, detail: z.ZodMiniType) =>
  z.object({
    version: z.literal('0'),
    id: z.string(),
    'detail-type': z.literal(detailType),
    source,
    account: z.string(),
    time: z.string(),
    region: z.string(),
    resources: z.array(z.string()),
    detail,
  });

const document = (detailType: string, schema: z.ZodMiniType, description: string): [string, string] => {
  const file = `docs/api/events/${fileOf(detailType)}.json`;
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  const content = { $schema, title: detailType, description, ...rest };
  return [file, `${JSON.stringify(content, null, 2)}\n`];
};

const own = (type: (typeof EVENT_TYPES)[number]): [string, string] =>
  document(
    type,
    envelope(
      type,
      z.literal(EVENT_SOURCE),
      z.strictObject({ ...BusEventDetailSchema.shape, type: z.literal(type) }),
    ),
    'Put on the bus by Bulkhead. An event can be delivered twice, with the same detail.id, and out of order. Order the events of one resource by detail.revision.',
  );

/** JSON Schemas of the events on the bus: Bulkhead's own, and the one that users send. */
export const generate = async (): Promise<Map<string, string>> =>
  new Map([
    ...EVENT_TYPES.map(own),
    document(
      CONVERSION_REQUESTED,
      envelope(CONVERSION_REQUESTED, z.string(), ConversionRequestSchema),
      'Put on the bus by a program that requests conversions. The program chooses the source.',
    ),
  ]);
