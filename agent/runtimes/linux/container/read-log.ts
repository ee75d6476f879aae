import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import {
  type LogItem,
  type LogPage,
  type OutputStream,
  SESSION_LIMITS,
} from '../../../../core/contract/session.ts';
import { RuntimeError } from '../../../errors.ts';
import type { LogQuery } from '../../runtime.ts';

/**
 * The log of a main process, from a place in it on. What is kept of it are at most two files, `<path>.1` and then
 * `<path>`, each of at most the log's size (`main-log.ts`, `helper/log.h`), with one entry a line.
 *
 * A cursor is a place in one of them: its first entry's time, which stays the same when the file is renamed, and an
 * offset. A file that is gone has taken with it what was not read: `truncated`. A log is read in pieces, with room
 * for others in between, and only as far as it is wanted: a long one must not keep the agent from anything else.
 */
const ENTRY = /^(\S+) (stdout|stderr) ([FP]) /;
const LONGEST_HEAD = 64;
const NEWLINE = 0x0a;
/** More than the longest entry. */
const CHUNK_BYTES = 128 * 1024;
const EMPTY = '0';
const CURSOR = /^([0-9a-f]{1,32})\.(\d{1,10})$/;

interface LogFile {
  readonly generation: string;
  readonly file: FileHandle;
}

interface Place {
  readonly generation: string;
  readonly offset: number;
}

interface Entry {
  readonly at: string;
  readonly stream: OutputStream;
  readonly bytes: Buffer;
  /** No newline came after it. */
  readonly partial: boolean;
  /** Where the next one begins. */
  readonly next: Place;
}

const BEGINNING: Place = { generation: EMPTY, offset: 0 };

const toCursor = ({ generation, offset }: Place): string => `${generation}.${offset}`;

const parseCursor = (cursor: string): Place => {
  const [, generation, offset] = CURSOR.exec(cursor) ?? [];
  if (generation === undefined || offset === undefined)
    throw new RuntimeError('cursor-invalid', 'The cursor is not of this log.');
  return { generation, offset: Number(offset) };
};

const readAt = async (file: FileHandle, offset: number, bytes: number): Promise<Buffer> => {
  const data = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(data, 0, bytes, offset);
  return data.subarray(0, bytesRead);
};

const openFile = async (path: string): Promise<LogFile | null> => {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (file === null) return null;
  const head = await readAt(file, 0, LONGEST_HEAD).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
  const [, at] = ENTRY.exec(head.toString('latin1')) ?? [];
  if (at !== undefined)
    return { file, generation: createHash('sha256').update(at).digest('hex').slice(0, 16) };
  await file.close();
  return null;
};

/** The files of a log, oldest first, as they are now: they may be renamed while they are read. */
const withFiles = async <T>(path: string, use: (files: readonly LogFile[]) => Promise<T>): Promise<T> => {
  // In this order: where one is renamed in between, it is met twice, and none is missed.
  const newest = await openFile(path);
  const older = await openFile(`${path}.1`).catch(async (error: unknown) => {
    await newest?.file.close();
    throw error;
  });
  const opened = [older, newest].filter((one) => one !== null);
  try {
    return await use(older?.generation === newest?.generation ? opened.slice(-1) : opened);
  } finally {
    await Promise.all(opened.map(({ file }) => file.close()));
  }
};

/** What is whole of some bytes of a file: the end of one that is being written may be half an entry. */
const parseEntries = (data: Buffer, { generation, offset }: Place): { entries: Entry[]; length: number } => {
  const entries: Entry[] = [];
  let from = 0;
  for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, from)) {
    const [head, at, stream, kind] = ENTRY.exec(data.toString('latin1', from, from + LONGEST_HEAD)) ?? [];
    if (head !== undefined && at !== undefined && from + head.length <= end)
      entries.push({
        at,
        stream: stream === 'stderr' ? 'stderr' : 'stdout',
        bytes: data.subarray(from + head.length, end),
        partial: kind === 'P',
        next: { generation, offset: offset + end + 1 },
      });
    from = end + 1;
  }
  return { entries, length: from };
};

/** Entries from a place on, in order; where its file is gone, all that there are. */
async function* entriesFrom(files: readonly LogFile[], place: Place): AsyncGenerator<Entry> {
  const first = files.findIndex(({ generation }) => generation === place.generation);
  for (const [index, { file, generation }] of files.entries()) {
    if (index < first) continue;
    for (let offset = index === first ? place.offset : 0; ; ) {
      const { entries, length } = parseEntries(await readAt(file, offset, CHUNK_BYTES), {
        generation,
        offset,
      });
      if (length === 0) break;
      offset += length;
      for (const entry of entries) yield entry;
    }
  }
}

const isGone = (files: readonly LogFile[], { generation }: Place): boolean =>
  generation !== EMPTY && !files.some((file) => file.generation === generation);

/** Where the newest `lines` lines begin among these: pieces of one count once. Undefined if they reach further back. */
const beginOfNewest = (entries: readonly Entry[], lines: number): number | undefined => {
  let at = entries.length;
  for (let left = lines; at > 0; at -= 1) {
    const { partial, stream } = entries[at - 1] as Entry;
    const goesOn = partial && entries[at]?.stream === stream;
    if (goesOn) continue;
    if (left === 0) return at;
    left -= 1;
  }
  return undefined;
};

/** The place of the newest so many lines, looked for from the end. */
const placeOfNewest = async (files: readonly LogFile[], lines: number): Promise<Place> => {
  let later: readonly Entry[] = [];
  for (const { file, generation } of [...files].reverse()) {
    const { size } = await file.stat();
    for (let bytes = CHUNK_BYTES, from = size; from > 0; bytes *= 2) {
      from = Math.max(0, size - bytes);
      const data = await readAt(file, from, size - from);
      // It begins in the middle of an entry, unless it is the first.
      const cut = from === 0 ? 0 : data.indexOf(NEWLINE) + 1;
      const { entries } = parseEntries(data.subarray(cut), { generation, offset: from + cut });
      const all = [...entries, ...later];
      const begin = beginOfNewest(all, lines);
      const before = begin === undefined ? undefined : all[begin - 1];
      if (before !== undefined) return before.next;
      if (from === 0) later = all;
    }
  }
  return BEGINNING;
};

const toItem = ({ at, stream, bytes, partial }: Entry): LogItem => {
  const text = bytes.toString('utf8');
  return {
    at,
    stream,
    text,
    ...(Buffer.from(text, 'utf8').equals(bytes) ? {} : { data: bytes.toString('base64') }),
    ...(partial && { partial: true as const }),
  };
};

/** @throws {RuntimeError} `cursor-invalid` */
export const readLog = (path: string, { tail, since, cursor }: LogQuery): Promise<LogPage> =>
  withFiles(path, async (files) => {
    const place =
      cursor !== undefined
        ? parseCursor(cursor)
        : tail !== undefined
          ? await placeOfNewest(files, tail)
          : BEGINNING;
    const truncated = isGone(files, place);
    const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since);
    const items: LogItem[] = [];
    let room: number = SESSION_LIMITS.logPageBytes;
    let end = place;
    for await (const entry of entriesFrom(files, place)) {
      if (Date.parse(entry.at) >= sinceMs) {
        const item = toItem(entry);
        room -= Buffer.byteLength(JSON.stringify(item)) + 1;
        if (room < 0 && items.length > 0) return { items, truncated, more: true, nextCursor: toCursor(end) };
        items.push(item);
      }
      end = entry.next;
    }
    return { items, truncated, more: false, nextCursor: toCursor(end) };
  });

export const BEGIN_OF_LOG = toCursor(BEGINNING);

/** Where the log ends now. */
export const endOfLog = (path: string): Promise<string> =>
  withFiles(path, async (files) => {
    const last = files.at(-1);
    if (last === undefined) return toCursor(BEGINNING);
    const { size } = await last.file.stat();
    return toCursor({ generation: last.generation, offset: size });
  });

/** A part of what a main process has written, as it wrote it. */
export interface LoggedOutput {
  readonly pieces: readonly { readonly stream: OutputStream; readonly bytes: Buffer }[];
  /** What was asked for is not kept any more. */
  readonly truncated: boolean;
  readonly cursor: string;
  /** How many bytes of the log that was. */
  readonly length: number;
  /** How many bytes of the log are behind it. */
  readonly left: number;
}

const bytesFrom = async (files: readonly LogFile[], { generation, offset }: Place): Promise<number> => {
  const sizes = await Promise.all(files.map(async ({ file }) => (await file.stat()).size));
  const at = Math.max(
    0,
    files.findIndex((one) => one.generation === generation),
  );
  const before = files[at]?.generation === generation ? offset : 0;
  return sizes.slice(at).reduce((sum, size) => sum + size, 0) - before;
};

const LINE_END = Buffer.from('\n');

/**
 * What was written from `cursor` on, as bytes; nothing where the log ends.
 * @param mostBytes after which no further entry is taken
 */
export const readOutput = (path: string, cursor: string, mostBytes: number): Promise<LoggedOutput> =>
  withFiles(path, async (files) => {
    const place = parseCursor(cursor);
    const truncated = isGone(files, place);
    const runs: { stream: OutputStream; parts: Buffer[] }[] = [];
    let taken = 0;
    let length = 0;
    let end = place;
    for await (const { stream, bytes, partial, next } of entriesFrom(files, place)) {
      if (taken >= mostBytes) break;
      if (runs.at(-1)?.stream !== stream) runs.push({ stream, parts: [] });
      runs.at(-1)?.parts.push(bytes, ...(partial ? [] : [LINE_END]));
      taken += bytes.length + (partial ? 0 : LINE_END.length);
      length += next.offset - (next.generation === end.generation ? end.offset : 0);
      end = next;
    }
    const pieces = runs.map(({ stream, parts }) => ({ stream, bytes: Buffer.concat(parts) }));
    return { pieces, truncated, cursor: toCursor(end), length, left: await bytesFrom(files, end) };
  });
