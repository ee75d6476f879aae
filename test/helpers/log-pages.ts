import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLog } from '../../agent/runtimes/linux/container/read-log.ts';
import type { LogPage } from '../../core/contract/session.ts';

/** A host's log pages of lines that all have the same time, by the cursor that requests each page; '' for the first. */
export const pagesOfOneTime = async (lines: readonly string[]): Promise<ReadonlyMap<string, LogPage>> => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-log-'));
  try {
    const path = join(folder, 'main.log');
    writeFileSync(path, lines.map((line) => `2026-11-29T00:00:00.000Z stdout F ${line}\n`).join(''));
    const pages = new Map<string, LogPage>();
    for (let cursor = '', more = true; more; ) {
      const page = await readLog(path, cursor === '' ? {} : { cursor });
      pages.set(cursor, page);
      ({ nextCursor: cursor, more } = page);
    }
    return pages;
  } finally {
    rmSync(folder, { recursive: true });
  }
};
