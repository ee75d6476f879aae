/** Narrowing of parsed JSON without casts. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isJsonObject = (value: Json | undefined): value is JsonObject => isRecord(value);

/** The object, or an empty one if the value is something else. */
export const asRecord = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});

export const asString = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
