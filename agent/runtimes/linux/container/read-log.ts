import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type LogItem, type LogPage, SESSION_LIMITS } from '../../../../core/contract/session.ts';
import { RuntimeError } from '../../../errors.ts';
import type { LogQuery } from '../../runtime.ts';

/**
 * The log of a main process, in pages. What is kept of it are at most two files, `<path>.1` and then `<path>`, each of
 * at most the log's size (`main-log.ts`, `helper/log.h`), with one entry a line.
 *
 * A cursor is a place in one of them: its first entry's time, which stays the same when the file is renamed, and an
 * offset. A file that is gone has taken with it what was not read: `truncated`.
 */
const ENTRY = /^(\S+) (stdout|stderr) ([FP]) /;
const LONGEST_HEAD = 64;
const NEWLINE = 0x0a;
/** More than two pages, so that one always fills. */
const READ_BYTES = 4 * SESSION_LIMITS.logPageBytes;
const EMPTY = '0';
const CURSOR = /^([0-9a-f]{1,32})\.(\d{1,10})$/;

interface LogFile {
  readonly generation: string;
  readonly path: string;
}

interface Place {
  readonly generation: string;
  readonly offset: number;
}

interface Entry {
  readonly item: LogItem;
  /** Where the next one begins. */
  readonly next: Place;
}

const readFrom = async (path: string, offset: number, bytes: number | null): Promise<Buffer> => {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const data = Buffer.alloc(Math.max(0, Math.min(size - offset, bytes ?? size)));
    const { bytesRead } = await file.read(data, 0, data.length, offset);
    return data.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};

const filesOf = async (path: string): Promise<LogFile[]> => {
  const files: LogFile[] = [];
  for (const one of [`${path}.1`, path]) {
    const head = (await readFrom(one, 0, LONGEST_HEAD)).toString('latin1');
    const [, at] = ENTRY.exec(head) ?? [];
    if (at !== undefined)
      files.push({ path: one, generation: createHash('sha256').update(at).digest('hex').slice(0, 16) });
  }
  return files;
};

const toItem = (line: Buffer): LogItem | null => {
  const [head = '', at, stream, kind] = ENTRY.exec(line.toString('latin1', 0, LONGEST_HEAD)) ?? [];
  if (at === undefined || (stream !== 'stdout' && stream !== 'stderr')) return null;
  const bytes = line.subarray(head.length);
  const text = bytes.toString('utf8');
  return {
    at,
    stream,
    text,
    ...(Buffer.from(text, 'utf8').equals(bytes) ? {} : { data: bytes.toString('base64') }),
    ...(kind === 'P' && { partial: true as const }),
  };
};

/** What is whole of a file from an offset on; the end of one that is being written may be half an entry. */
const entriesOf = async (file: LogFile, offset: number, bytes: number | null): Promise<Entry[]> => {
  const data = await readFrom(file.path, offset, bytes);
  const entries: Entry[] = [];
  for (
    let from = 0, end = data.indexOf(NEWLINE);
    end >= 0;
    from = end + 1, end = data.indexOf(NEWLINE, from)
  ) {
    const item = toItem(data.subarray(from, end));
    if (item !== null)
      entries.push({ item, next: { generation: file.generation, offset: offset + end + 1 } });
  }
  return entries;
};

const parseCursor = (cursor: string): Place => {
  const [, generation, offset] = CURSOR.exec(cursor) ?? [];
  if (generation === undefined || offset === undefined)
    throw new RuntimeError('cursor-invalid', 'The cursor is not of this log.');
  return { generation, offset: Number(offset) };
};

/** The newest so many lines: pieces of one count once. */
const newest = (entries: readonly Entry[], lines: number): readonly Entry[] => {
  let at = entries.length;
  for (let left = lines; at > 0; at -= 1) {
    const { partial, stream } = entries[at - 1]?.item ?? {};
    const goesOn = partial === true && entries.slice(at, at + 1).some(({ item }) => item.stream === stream);
    if (goesOn) continue;
    if (left === 0) break;
    left -= 1;
  }
  return entries.slice(at);
};

interface Found {
  readonly entries: readonly Entry[];
  readonly truncated: boolean;
  /** Where the page would end if it had nothing. */
  readonly from: Place;
}

const afterCursor = async (files: readonly LogFile[], cursor: string): Promise<Found> => {
  const place = parseCursor(cursor);
  const at = files.findIndex(({ generation }) => generation === place.generation);
  const truncated = at < 0 && place.generation !== EMPTY;
  const entries: Entry[] = [];
  for (const [index, file] of files.entries())
    if (index >= Math.max(0, at))
      entries.push(...(await entriesOf(file, index === at ? place.offset : 0, READ_BYTES)));
  return { entries, truncated, from: place };
};

const fromBeginning = async (files: readonly LogFile[]): Promise<Found> => {
  const entries = (await Promise.all(files.map((file) => entriesOf(file, 0, null)))).flat();
  return { entries, truncated: false, from: { generation: EMPTY, offset: 0 } };
};

const fill = (entries: readonly Entry[]): number => {
  let room: number = SESSION_LIMITS.logPageBytes;
  const full = entries.findIndex(({ item }, index) => {
    room -= Buffer.byteLength(JSON.stringify(item)) + 1;
    return room < 0 && index > 0;
  });
  return full < 0 ? entries.length : full;
};

/** @throws {RuntimeError} `cursor-invalid` */
export const readLog = async (path: string, { tail, since, cursor }: LogQuery): Promise<LogPage> => {
  const files = await filesOf(path);
  const found = cursor === undefined ? await fromBeginning(files) : await afterCursor(files, cursor);
  const lasts = tail === undefined ? found.entries : newest(found.entries, tail);
  const wanted =
    since === undefined ? lasts : lasts.filter(({ item }) => Date.parse(item.at) >= Date.parse(since));
  const count = fill(wanted);
  const page = wanted.slice(0, count);
  const more = count < wanted.length;
  const end = (more ? page.at(-1)?.next : found.entries.at(-1)?.next) ?? found.from;
  return {
    items: page.map(({ item }) => item),
    truncated: found.truncated,
    more,
    nextCursor: `${end.generation}.${end.offset}`,
  };
};
