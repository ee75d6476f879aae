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
 * Reads the log of a main process from a position. The log has at most two files, `<path>.1` and the newer `<path>`, each at
 * most the log's size (`main-log.ts`, `helper/log.h`), with one entry per line.
 *
 * A cursor is a position in one of the files. It consists of an identifier of the file and an offset. The identifier is derived
 * from the file's inode and the time of its first entry, which do not change when the file is renamed. A cursor has no entry
 * time, because several entries can have the same time. If the file was deleted before it was read, the result is `truncated`.
 * The log is read in chunks, and only as far as needed, so that a long log does not block the agent.
 */
const LONGEST_TIME = 40;
const LONGEST_HEAD = 64;
const NEWLINE = 0x0a;
const SPACE = 0x20;
/** The text after an entry's time. */
const KINDS: ReadonlyMap<string, Pick<Entry, 'stream' | 'partial'>> = new Map([
  [' stdout F ', { stream: 'stdout', partial: false }],
  [' stdout P ', { stream: 'stdout', partial: true }],
  [' stderr F ', { stream: 'stderr', partial: false }],
  [' stderr P ', { stream: 'stderr', partial: true }],
]);
const KIND_BYTES = 10;
/** More than the longest entry. Other work can run between two chunks. */
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
  /** Whether no newline follows. */
  readonly partial: boolean;
  /** Where the next entry begins. */
  readonly next: Place;
}

const BEGINNING: Place = { generation: EMPTY, offset: 0 };

const toCursor = ({ generation, offset }: Place): string => `${generation}.${offset}`;

const parseCursor = (cursor: string): Place => {
  const [, generation, offset] = CURSOR.exec(cursor) ?? [];
  if (generation === undefined || offset === undefined)
    throw new RuntimeError('cursor-invalid', 'The cursor does not belong to this log.');
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

/** Opens the files of a log, oldest first. Open files can be renamed while they are read. */
const withFiles = async <T>(path: string, use: (files: readonly LogFile[]) => Promise<T>): Promise<T> => {
  // In this order, a file that is renamed in between is opened twice, and no file is missed.
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

/** Parses the complete entries. The end of a file that is being written may be a partial entry. */
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

/** Yields entries from a position on, in order; all entries if the file of the position was deleted. */
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

/** Whether others have replaced the file of the position. While there is none, nothing is known to be lost. */
const isGone = (files: readonly LogFile[], { generation }: Place): boolean =>
  generation !== EMPTY && files.length > 0 && !files.some((file) => file.generation === generation);

/** Yields the entries of a file from its end to its beginning, in pieces. */
async function* entriesBackwards({ file, generation }: LogFile): AsyncGenerator<readonly Entry[]> {
  for (let end = (await file.stat()).size; end > 0; ) {
    const from = Math.max(0, end - CHUNK_BYTES);
    const data = await readAt(file, from, end - from);
    // A chunk begins in the middle of an entry, unless it is the first. An entry is never longer than a chunk.
    const newline = data.indexOf(NEWLINE);
    const isCut = from > 0 && newline >= 0 && newline < data.length - 1;
    const begin = isCut ? newline + 1 : 0;
    yield parseEntries(data.subarray(begin), { generation, offset: from + begin }).entries;
    end = from + begin;
  }
}

/** Finds the position of the newest `lines` lines, searching from the end. Parts of a line count once. */
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

/** The cursor of the log's current end. */
export const endOfLog = (path: string): Promise<string> =>
  withFiles(path, async (files) => {
    const last = files.at(-1);
    if (last === undefined) return toCursor(BEGINNING);
    const { size } = await last.file.stat();
    return toCursor({ generation: last.generation, offset: size });
  });

/** A part of a main process's output, as bytes. */
interface LoggedOutput {
  readonly pieces: readonly { readonly stream: OutputStream; readonly bytes: Buffer }[];
  /** Whether requested output is no longer in the log. */
  readonly truncated: boolean;
  readonly cursor: string;
  /** Number of bytes of the log that were read. */
  readonly length: number;
  /** Number of bytes of the log that follow. */
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
 * Reads output from `cursor` on, as bytes; nothing at the end of the log.
 * @param mostBytes no further entry is read after this many bytes
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
