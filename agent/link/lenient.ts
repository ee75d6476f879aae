import * as z from 'zod/mini';

/** @returns undefined for invalid JSON */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Location and reason of the first issue; never its value. */
export const describe = (error: z.core.$ZodError): string => {
  const [issue] = error.issues;
  return issue === undefined ? 'unreadable' : `${issue.path.join('.')}: ${issue.code}`;
};

/** Maximum number of rounds; each removes at least one member, and newer messages add few. */
const ROUNDS = 8;

/** Parses a message of a possibly newer release with a strict schema: unknown members are removed. */
export const parseLeniently = <T extends z.core.$ZodType>(schema: T, value: unknown) => {
  // The fast path, because sessions send hundreds of frames.
  const plain = z.safeParse(schema, value);
  if (plain.success) return plain;
  const copy = structuredClone(value);
  let parsed = z.safeParse(schema, copy);
  for (let round = 0; round < ROUNDS && !parsed.success; round += 1) {
    const extra = parsed.error.issues.filter((issue) => issue.code === 'unrecognized_keys');
    if (extra.length === 0) break;
    for (const issue of extra) for (const key of issue.keys) remove(copy, issue.path, key);
    parsed = z.safeParse(schema, copy);
  }
  return parsed;
};

const remove = (root: unknown, path: readonly PropertyKey[], key: string): void => {
  let at: unknown = root;
  for (const part of path) at = at !== null && typeof at === 'object' ? Reflect.get(at, part) : undefined;
  if (at !== null && typeof at === 'object') Reflect.deleteProperty(at, key);
};
