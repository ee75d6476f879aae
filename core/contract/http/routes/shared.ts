import * as z from 'zod/mini';
import { IdOrNameSchema, IdSchema, NameSchema } from '../../primitives.ts';

export const list = <T extends z.ZodMiniType>(items: T) =>
  z.strictObject({ items: z.array(items), nextCursor: z.nullable(z.string()) });

export const paging = {
  limit: z.optional(z.string().check(z.regex(/^([1-9]|[1-9][0-9]|1[0-9]{2}|200)$/))),
  cursor: z.optional(z.string().check(z.maxLength(2048), z.regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/))),
};
export const flag = z.optional(z.enum(['true', 'false']));
export const dryRun = { dryRun: flag };
export const byIdOrName = z.strictObject({ idOrName: IdOrNameSchema });
export const byId = z.strictObject({ id: IdSchema });
export const byName = z.strictObject({ name: NameSchema });
