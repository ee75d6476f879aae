import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { EXIT } from '../../../cli/exit-codes.ts';
import { checkBulkhead, checkContext, commandPaths } from '../../helpers/documented-commands.ts';
import { markdownFiles, ROOT, readDocument } from '../../helpers/markdown.ts';

const FOLDERS = readdirSync(ROOT, { withFileTypes: true })
  .filter(
    (entry) => entry.isDirectory() && !['node_modules', '.git', '.bulkhead', 'cdk.out'].includes(entry.name),
  )
  .map(({ name }) => name);

const names = new Set(
  FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => !path.includes('node_modules'))
      .map((path) => basename(path)),
  ),
);
const scripts: Readonly<Record<string, string>> = JSON.parse(readDocument('package.json')).scripts;

const spansOf = (path: string): readonly string[] =>
  [
    ...readDocument(path)
      .replaceAll(/^([ \t]*)```[\s\S]*?^\1```$/gm, '')
      .matchAll(/`([^`\n]+)`/g),
  ].map(([, span = '']) => span);

const FILE = /^[\w./-]+\.(?:ts|mts|mjs|c|h|inc|md|sh|grit)$/;
const isOurPath = (span: string): boolean =>
  FOLDERS.includes(span.split('/')[0] ?? '') && /^[\w./-]+$/.test(span);

const isMissing = (span: string): boolean => {
  if (isOurPath(span) && span.includes('/')) return !existsSync(join(ROOT, span));
  return FILE.test(span) && !span.includes('/') && !names.has(span) && !existsSync(join(ROOT, span));
};

/** File names that are examples, or that were replaced after the decision. */
const EXAMPLES = new Set(['endpointResolver.js', 'test/fixtures/agent-state/version-N']);

const documents = markdownFiles();

describe.each(documents)('%s', (path) => {
  const spans = spansOf(path);

  test('names files and folders that exist', () => {
    expect(spans.filter((span) => isMissing(span) && !EXAMPLES.has(span))).toEqual([]);
  });

  test('names npm scripts that exist', () => {
    const unknown = spans
      .map((span) => /^npm run (?:-s |--silent )?([\w:-]+)/.exec(span)?.[1])
      .filter((name) => name !== undefined && scripts[name] === undefined);
    expect(unknown).toEqual([]);
  });

  test('names commands of bulkhead that exist', () => {
    const lines = spans.filter((span) => /^bulkhead [a-z]/.test(span) && !/…/.test(span));
    const refused = lines.filter((line) => {
      try {
        // The command lines may lack required arguments, which --help makes optional.
        checkBulkhead([...line.split(' ').slice(1), '--help']);
        return false;
      } catch {
        return true;
      }
    });
    expect(refused).toEqual([]);
  });
});

test('the table of the CDK context has exactly the keys that the app reads', () => {
  const [, table = ''] = readDocument('docs/deploy.md').split('## Configuration');
  const documented = [...table.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, key = '']) => key),
  );
  const [, source = ''] = readDocument('lib/context.ts').split('const CONTEXT = {');
  const keys = [...(source.split('} as const')[0] ?? '').matchAll(/^ {2}(\w+):/gm)].map(
    ([, key = '']) => key,
  );
  expect(documented.sort()).toEqual(keys.sort());
  checkContext({ heartbeatSeconds: '30' });
});

describe('docs/cli.md', () => {
  const text = readDocument('docs/cli.md');
  const rows = (heading: string) =>
    [
      ...((text.split(`## ${heading}\n`)[1] ?? '').split('\n## ')[0]?.matchAll(/^\|(.*)\|(.*)\|$/gm) ?? []),
    ].slice(2);

  test('lists every command of the CLI, and no other', () => {
    const documented = rows('Commands').flatMap(([, group = '', verbs = '']) => {
      const name = /`([\w-]+)`/.exec(group)?.[1];
      return [...verbs.matchAll(/`([a-z][\w-]*)`/g)].map(([, verb = '']) =>
        name ? `${name} ${verb}` : verb,
      );
    });
    expect(documented.sort()).toEqual([...commandPaths()].sort());
  });

  test('lists every exit code', () => {
    const documented = rows('Exit codes').flatMap(([, codes = '']) => codes.split(',').map(Number));
    expect(documented).toEqual(Object.values(EXIT));
  });
});

test('docs/local.md lists options that npm start has', () => {
  const [, table = ''] = readDocument('docs/local.md').split('## Options of `npm start`');
  const options = [...table.matchAll(/^\| `(--[\w-]+)/gm)].map(([, option = '']) => option);
  expect(options.length).toBeGreaterThan(5);
  const known = readDocument('bin/local/options.ts');
  expect(options.filter((option) => !known.includes(`'${option}`))).toEqual([]);
});
