import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { codeBlocks, ROOT, readDocument } from '../../helpers/markdown.ts';

const FOLDER = 'docs/adr';
const records = readdirSync(join(ROOT, FOLDER)).filter((name) => name !== 'README.md');
const numberOf = (name: string): string => name.slice(0, 4);

const SOURCES = ['agent', 'bench', 'bin', 'cli', 'core', 'docs', 'functions', 'lib', 'local', 'scripts'];
const MORE_SOURCES = ['store', 'test', 'workflow'];

const filesIn = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mts|mjs|c|h|md)$/.test(name) && !name.includes('node_modules'))
    .map((name) => `${folder}/${name}`);

/** References such as `docs/adr/0016`, `adr/0021-network-policy.md` and `ADR 21`. */
const referencesIn = (text: string): readonly string[] =>
  [...text.matchAll(/\badr\/(\d{4}[\w-]*(?:\.md)?)|\bADR (\d+)/g)].map(([, path, number = '']) =>
    path === undefined ? number.padStart(4, '0') : path,
  );

const isRecord = (reference: string): boolean =>
  records.some((name) => (reference.endsWith('.md') ? name === reference : name.startsWith(reference)));

describe('architecture decision records', () => {
  test('are numbered from 0001 without gaps', () => {
    const numbers = records.map(numberOf).sort();
    expect(numbers).toEqual(numbers.map((_, index) => String(index + 1).padStart(4, '0')));
  });

  test.each(records)('%s has its number in the title, and Context, Decision and Consequences', (name) => {
    const text = readDocument(`${FOLDER}/${name}`);
    const code = codeBlocks(name, text).reduce((rest, block) => rest.replace(block.text, ''), text);
    expect(code.split('\n')[0]).toMatch(new RegExp(`^# ${numberOf(name)}: \\S`));
    expect([...code.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual([
      'Context',
      'Decision',
      'Consequences',
    ]);
  });

  test('exist for every reference in code and documents', () => {
    const broken = ['README.md', 'CHANGELOG.md', ...[...SOURCES, ...MORE_SOURCES].flatMap(filesIn)].flatMap(
      (path) =>
        referencesIn(readFileSync(join(ROOT, path), 'utf8'))
          .filter((reference) => !isRecord(reference))
          .map((reference) => `${path}: ${reference}`),
    );
    expect(broken).toEqual([]);
  });
});
