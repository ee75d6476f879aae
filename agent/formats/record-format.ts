import * as z from 'zod/mini';
import { AgentError } from '../errors.ts';

/**
 * A JSON file of the agent that persists across updates of the agent.
 *
 * The file carries its version in the member `version`; a file without it has version 0. Any change of `schema`, also an
 * additional optional member, is a new version with a function in `upgrades`: an agent refuses a newer version, and so
 * never misreads it. Versions are never dropped: a process that an old agent has started still writes its version.
 */
export interface RecordFormat<T extends object> {
  /** For messages, e.g. `container record`. */
  readonly name: string;
  /** Of the newest version, without the member `version`. */
  readonly schema: z.ZodMiniType<T>;
  /** `upgrades[n]` turns a record of version n into one of version n + 1. */
  readonly upgrades: readonly ((older: unknown) => unknown)[];
}

export type Decoded<T> =
  | { readonly kind: 'record'; readonly record: T; readonly isOlder: boolean }
  | { readonly kind: 'newer'; readonly version: number }
  /** Not JSON, or it does not match the schema of its version. */
  | { readonly kind: 'unreadable'; readonly cause: unknown };

/** The state is of a newer version than this agent supports. Nothing was changed. */
export class NewerFormatError extends AgentError {
  readonly code = 'internal';
  constructor(what: string, path: string, version: number, newest: number) {
    super(
      `${path} has version ${version} of the ${what}, written by a newer agent; this agent reads versions up to ${newest}`,
      { suggestion: 'Update the agent on this host.' },
    );
  }
}

/** The version that this agent writes. */
export const versionOf = ({ upgrades }: { readonly upgrades: readonly unknown[] }): number => upgrades.length;

const VersionedSchema = z.looseObject({ version: z.int().check(z.gte(1)) });

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Separates the version from the record. Null if the member `version` is not a valid version. */
const splitVersion = (value: unknown): { version: number; body: unknown } | null => {
  if (!isObject(value) || !('version' in value)) return { version: 0, body: value };
  const versioned = VersionedSchema.safeParse(value);
  if (!versioned.success) return null;
  const { version, ...body } = versioned.data;
  return { version, body };
};

/** Reads a record of any version up to the newest, as one of the newest. */
export const decodeRecord = <T extends object>(format: RecordFormat<T>, text: string): Decoded<T> => {
  try {
    const split = splitVersion(JSON.parse(text));
    if (split === null) return { kind: 'unreadable', cause: new TypeError('`version` is not a version') };
    const { version, body } = split;
    if (version > versionOf(format)) return { kind: 'newer', version };
    const upgraded = format.upgrades.slice(version).reduce((older, upgrade) => upgrade(older), body);
    const parsed = format.schema.safeParse(upgraded);
    return parsed.success
      ? { kind: 'record', record: parsed.data, isOlder: version < versionOf(format) }
      : { kind: 'unreadable', cause: parsed.error };
  } catch (cause) {
    return { kind: 'unreadable', cause };
  }
};

export const encodeRecord = <T extends object>(format: RecordFormat<T>, record: T): string =>
  JSON.stringify({ version: versionOf(format), ...record });

/** An upgrade that adds missing members. Their values must have the meaning that a missing member had. */
export const addMembers =
  (members: Readonly<Record<string, unknown>> = {}) =>
  (older: unknown): unknown =>
    isObject(older) ? { ...members, ...older } : older;
