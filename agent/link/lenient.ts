import * as z from 'zod/mini';

/** @returns undefined for what is not JSON */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Where the first thing is that cannot be read, and why; never its value. */
export const describe = (error: z.core.$ZodError): string => {
  const [issue] = error.issues;
  return issue === undefined ? 'unreadable' : `${issue.path.join('.')}: ${issue.code}`;
};

/** Each round removes at least one member, and a message has few places where one can be added. */
const ROUNDS = 8;

/** Parses by a strict schema what a newer release may have sent: members that are not known are removed. */
export const parseLeniently = <T extends z.core.$ZodType>(schema: T, value: unknown) => {
  // Nearly always: and a session's frames come by the hundred.
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
