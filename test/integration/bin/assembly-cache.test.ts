import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { assemblyOf } from '../../../bin/local/assembly-cache.ts';

/** A checkout whose app writes a manifest, and a line in `runs` each time. */
const root = mkdtempSync(join(tmpdir(), 'assembly-'));
const APP = `
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
const [, , folder, context] = process.argv;
appendFileSync('runs', context + '\\n');
mkdirSync(folder);
writeFileSync(folder + '/manifest.json', '{}');
`;
const runs = () => readFileSync(join(root, 'runs'), 'utf8').trim().split('\n');

beforeAll(() => {
  mkdirSync(join(root, 'bin/local'), { recursive: true });
  writeFileSync(join(root, 'bin/local/synthesize.ts'), APP);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('concurrent clouds synthesize the app once', async () => {
  const context = { name: 'concurrent' };
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => assemblyOf(root, context)));
  expect([second, third]).toEqual([first, first]);
  expect(runs().filter((line) => line === JSON.stringify(context))).toHaveLength(1);
  expect(readdirSync(first ?? '')).toEqual(['manifest.json']);
});

test('the remains of a process that was killed while it synthesized are replaced', async () => {
  const context = { name: 'killed' };
  const target = await assemblyOf(root, context);
  rmSync(join(target, 'manifest.json'));
  mkdirSync(`${target}.new`);
  expect(await assemblyOf(root, context)).toBe(target);
  expect(readdirSync(target)).toEqual(['manifest.json']);
});
