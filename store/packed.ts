import { deflateRawSync, inflateRawSync } from 'node:zlib';
import * as z from 'zod/mini';

/**
 * Compressed JSON in an attribute, for members that can be large. DynamoDB charges by the size of items, and the members
 * of an item are written again with each of its changes.
 */

/** Far above what any item can contain. */
const MAX_BYTES = 16 * 1024 * 1024;

/** @param value JSON */
export const pack = (value: unknown): Uint8Array => deflateRawSync(JSON.stringify(value));

const unpack = (bytes: Uint8Array): unknown =>
  JSON.parse(inflateRawSync(bytes, { maxOutputLength: MAX_BYTES }).toString());

/** The schema of a member that {@link pack} has written. */
/* @__NO_SIDE_EFFECTS__ */
export const packed = <T>(schema: z.ZodMiniType<T>) =>
  z.pipe(
    z.pipe(
      z.instanceof(Uint8Array),
      z.transform((bytes: Uint8Array<ArrayBuffer>, context): unknown => {
        try {
          return unpack(bytes);
        } catch {
          context.issues.push({ code: 'custom', input: bytes });
          return z.NEVER;
        }
      }),
    ),
    schema,
  );
