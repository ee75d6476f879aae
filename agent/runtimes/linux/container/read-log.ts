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
 * A cursor is a place in one of them: what tells the file, its inode and its first entry's time, which both stay the
 * same when it is renamed, and an offset. No time of an entry is part of it: many may have the same. A file that is gone has taken with it what was not read: `truncated`. A log is read in pieces, with room
 * for others in between, and only as far as it is wanted: a long one must not keep the agent from anything else.
 */
const LONGEST_TIME = 40;
const LONGEST_HEAD = 64;
const NEWLINE = 0x0a;
const SPACE = 0x20;
/** What comes after an entry's time. */
const KINDS: ReadonlyMap<string, Pick<Entry, 'stream' | 'partial'>> = new Map([
  [' stdout F ', { stream: 'stdout', partial: false }],
  [' stdout P ', { stream: 'stdout', partial: true }],
  [' stderr F ', { stream: 'stderr', partial: false }],
  [' stderr P ', { stream: 'stderr', partial: true }],
]);
const KIND_BYTES = 10;
/** More than the longest entry. Between two of them there is room for others. */
const CHUNK_BYTES = 64 * 1024;
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
  const at = parseHead(head, 0)?.at;
  if (at !== undefined) {
    const { ino } = await file.stat();
    return { file, generation: createHash('sha256').update(`${ino} ${at}`).digest('hex').slice(0, 16) };
  }
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

/** Time and kind of the entry that begins at `from`; undefined if none does. */
const parseHead = (data: Buffer, from: number) => {
  const space = data.indexOf(SPACE, from);
  if (space <= from || space - from > LONGEST_TIME) return undefined;
  const kind = KINDS.get(data.toString('latin1', space, space + KIND_BYTES));
  return kind && { ...kind, at: data.toString('latin1', from, space), text: space + KIND_BYTES };
};

/** What is whole of some bytes of a file: the end of one that is being written may be half an entry. */
const parseEntries = (data: Buffer, { generation, offset }: Place): { entries: Entry[]; length: number } => {
  const entries: Entry[] = [];
  let from = 0;
  for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, from)) {
    const head = parseHead(data, from);
    if (head !== undefined && head.text <= end)
      entries.push({
        at: head.at,
        stream: head.stream,
        bytes: data.subarray(head.text, end),
        partial: head.partial,
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

/** The entries of a file from its end on, in pieces. */
async function* entriesBackwards({ file, generation }: LogFile): AsyncGenerator<readonly Entry[]> {
  for (let end = (await file.stat()).size; end > 0; ) {
    const from = Math.max(0, end - CHUNK_BYTES);
    const data = await readAt(file, from, end - from);
    // It begins in the middle of an entry, unless it is the first; what is longer than this is none.
    const newline = data.indexOf(NEWLINE);
    const isCut = from > 0 && newline >= 0 && newline < data.length - 1;
    const begin = isCut ? newline + 1 : 0;
    yield parseEntries(data.subarray(begin), { generation, offset: from + begin }).entries;
    end = from + begin;
  }
}

/** The place of the newest so many lines, looked for from the end: pieces of a line count once. */
const placeOfNewest = async (files: readonly LogFile[], lines: number): Promise<Place> => {
  let left = lines;
  let following: OutputStream | null = null;
  for (const file of [...files].reverse())
    for await (const entries of entriesBackwards(file))
      for (const { partial, stream, next } of [...entries].reverse()) {
        const goesOn = partial && following === stream;
        following = stream;
        if (goesOn) continue;
        if (left === 0) return next;
        left -= 1;
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
interface LoggedOutput {
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
