import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ConversionRequestSchema,
  PutConversionRuleRequestSchema,
} from '../../../core/contract/conversion-rule.ts';
import { checkInvocation, checkRequest, DocumentationError } from '../../helpers/documented-commands.ts';
import { dryRun } from '../../helpers/dry-run.ts';
import { type CodeBlock, codeBlocks, markdownFiles, ROOT } from '../../helpers/markdown.ts';

const blocks = markdownFiles().flatMap((path) => codeBlocks(path));
const inLanguage = (language: string) =>
  blocks
    .filter((block) => block.language === language)
    .map((block) => [`${block.path}:${block.line}`, block] as const);

/** Variables that the text before a block defines. */
const VARIABLES = {
  ACCOUNT: '111122223333',
  API: 'http://api.test',
  API_URL: 'https://api.test',
  CLIENT_ID: 'client',
  CLIENT_SECRET: 'secret',
  FORWARDER: 'arn:aws:iam::111122223333:role/forwarder',
  HOST_ID: '00000000-0000-4000-8000-000000000000',
  OPERATION_ID: '00000000-0000-4000-8000-000000000000',
  REGION: 'eu-west-1',
  SECRET_ARN: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:signing',
  TOKEN: 'token',
  TOKEN_URL: 'https://example.auth.eu-west-1.amazoncognito.com/oauth2/token',
};

/** Earlier blocks of the same document define functions and variables that later ones use. */
const preamble = (block: CodeBlock): string =>
  codeBlocks(block.path)
    .filter(({ language, line }) => language === 'sh' && line < block.line)
    .flatMap(({ text }) => text.split('\n').filter((line) => /^\w+\(\) \{.*\}$/.test(line)))
    .join('\n');

/** In a dry run `node` prints the API's URL. The id of an operation must have the form of an id. */
const run = (block: CodeBlock) =>
  dryRun(
    `${preamble(block)}\n${block.text.replaceAll(/^OPERATION_ID=.*$/gm, (line) => `${line}; OPERATION_ID=${VARIABLES.OPERATION_ID}`)}`,
    VARIABLES,
  );

const NEEDS_AWS = /^needs AWS: \w/;

test('every block has a language that a test checks', () => {
  const languages = new Set(blocks.map(({ language }) => language));
  expect([...languages].sort()).toEqual(['', 'json', 'mermaid', 'sh', 'ts']);
});

describe('shell', () => {
  test.each(inLanguage('sh'))('%s runs, and its programs accept the command lines', (_, block) => {
    const { invocations, exitCode, stderr } = run(block);
    expect([exitCode, stderr]).toEqual([0, '']);
    for (const invocation of invocations) {
      const line = [invocation.program, ...invocation.args].join(' ');
      expect([line, refusalOf(() => checkInvocation(invocation))]).toEqual([line, undefined]);
    }
  });

  test.each(inLanguage('sh'))('%s is marked if and only if it needs AWS', (_, block) => {
    const needsAws = run(block).invocations.some(
      ({ program, args }) =>
        program === 'aws' || program === 'npx' || args.some((word) => word === VARIABLES.TOKEN_URL),
    );
    expect(NEEDS_AWS.test(block.note ?? '')).toBe(needsAws);
  });

  test.each([
    ['an unknown program', 'kubectl get pods'],
    ['a variable without a value', 'bulkhead host get "$NO_SUCH_VARIABLE"'],
    ['a syntax error', 'bulkhead host get "web'],
  ])('the dry run fails at %s', (_, text) => {
    expect(dryRun(text, VARIABLES).exitCode).not.toBe(0);
  });

  test.each([
    ['an unknown command', 'bulkhead host explode'],
    ['an unknown option', 'bulkhead host list --colour red'],
    ['a missing argument', 'bulkhead container get'],
    ['an unknown script', 'npm run no-such-script'],
    ['an unknown file', 'node agent/no-such-file.ts'],
    ['an unknown option of the agent', 'node agent/main.ts --api-url https://a.test --state-dir s --blue'],
    ['an unknown option of npm start', 'npm start -- --simulate many'],
    ['an unknown option of a token', 'npm run token -- --tennant acme'],
    ['an unknown key of the context', 'npx cdk deploy -c noSuchKey=1'],
    ['a wrong value of the context', 'npx cdk deploy -c heartbeatSeconds=soon'],
    ['an unknown route', 'curl $API/v1/pods'],
    ['a wrong body', `curl $API/v1/containers -d '{"image":1}'`],
    ['a wrong query', 'curl $API/v1/hosts?limit=0'],
    ['an unknown option of docker', 'docker run --privileged mini'],
    ['an unknown command of EventBridge', 'aws events put-everything'],
  ])('the check refuses %s', (_, text) => {
    const { invocations } = dryRun(text, VARIABLES);
    expect(invocations).toHaveLength(1);
    for (const invocation of invocations) expect(() => checkInvocation(invocation)).toThrow();
  });
});

const refusalOf = (check: () => void): string | undefined => {
  try {
    check();
    return undefined;
  } catch (error) {
    return String(error);
  }
};

/** The schema of a JSON block, by the first word of the comment before it. */
const JSON_CHECKS: Readonly<Record<string, (text: string, note: string) => void>> = {
  body: (text, note) => {
    const [, method = '', path = ''] = /^body: (\S+) (\S+)$/.exec(note) ?? [];
    checkRequest(method, path.replaceAll(/\{\w+\}/g, 'name'), text);
  },
  rule: (text) => void PutConversionRuleRequestSchema.parse(JSON.parse(text)),
  conversion: (text) => void ConversionRequestSchema.parse(JSON.parse(text)),
  /** `test/e2e/conversion.test.ts` puts it on the bus. */
  event: (text) => void JSON.parse(text),
  policy: (text) => {
    const { Effect, Action, Resource } = JSON.parse(text);
    if (![Effect, Action, Resource].every((one) => typeof one === 'string'))
      throw new DocumentationError('a statement of a policy has Effect, Action and Resource');
  },
};

test.each(inLanguage('json'))('%s is valid by the schema in its mark', (_, block) => {
  const note = block.note ?? '';
  const check = JSON_CHECKS[note.split(/\W/)[0] ?? ''];
  expect([note, check]).toEqual([note, expect.any(Function)]);
  check?.(block.text, note);
});

describe('TypeScript', () => {
  let folder = '';
  beforeAll(() => {
    mkdirSync(join(ROOT, '.bulkhead'), { recursive: true });
    folder = mkdtempSync(join(ROOT, '.bulkhead/snippets-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('snippets compile', () => {
    const snippets = inLanguage('ts');
    expect(snippets.length).toBeGreaterThan(0);
    for (const [index, [, block]] of snippets.entries()) {
      const text = block.text.replaceAll("'bulkhead/", "'../../");
      writeFileSync(join(folder, `snippet-${index}.ts`), `// ${block.path}:${block.line}\n${text}`);
    }
    const config = { extends: '../../tsconfig.json', include: ['*.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '--project', folder, '--pretty', 'false'], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
  });
});
