import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KeptTemplates, templateLimits } from '../../../agent/runtimes/linux/vm/kept-templates.ts';

const MIB = 1024 * 1024;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'templates-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const never = () => false;
const make = async (kept: KeptTemplates, key: string, megabytes: number, atSecond: number) => {
  mkdirSync(join(folder, key));
  writeFileSync(join(folder, key, 'ram'), Buffer.alloc(megabytes * MIB, 1));
  await kept.used(key, new Date(atSecond * 1000));
};

describe('stored templates', () => {
  test('beyond the maximum number, the least recently used are released and removed', async () => {
    const kept = new KeptTemplates(folder, { count: 3, memoryMB: 100 });
    for (let at = 0; at < 6; at += 1) await make(kept, `t${at}`, 1, at);
    await kept.used('t0', new Date(100_000));
    const released: string[] = [];
    await kept.trim(never, (key) => released.push(key));
    expect(readdirSync(folder).sort()).toEqual(['t0', 't4', 't5']);
    expect(released).toEqual(['t1', 't2', 't3']);
  });

  test('beyond the memory limit, templates are removed unless they are needed', async () => {
    const kept = new KeptTemplates(folder, { count: 10, memoryMB: 5 });
    for (let at = 0; at < 4; at += 1) await make(kept, `t${at}`, 2, at);
    await kept.trim(
      (key) => key === 't0',
      () => undefined,
    );
    expect(readdirSync(folder).sort()).toEqual(['t0', 't3']);
  });

  test('a template that is being created is not listed', async () => {
    const kept = new KeptTemplates(folder, { count: 1, memoryMB: 100 });
    await make(kept, 't0', 1, 0);
    await make(kept, 't1.being-made', 1, 1);
    await make(kept, 't2.gone', 1, 1);
    await kept.trim(never, () => undefined);
    expect(readdirSync(folder).sort()).toEqual(['t0', 't1.being-made']);
  });

  test('the limits depend on the machine’s memory', () => {
    expect(templateLimits(2048).memoryMB).toBe(128);
    expect(templateLimits(8192).memoryMB).toBe(256);
    expect(templateLimits(262_144).memoryMB).toBe(512);
  });
});
