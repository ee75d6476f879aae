import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { checkBulkhead, checkContext } from '../../helpers/documented-commands.ts';
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

/** Names of files that are an example, or were replaced after the decision. */
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
        // Every command line is complete but for its arguments: help accepts it without them.
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
