import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TENANT_CLAIM_FUNCTION } from '../../core/contract/tenant-claim.ts';
import { createApp } from '../../lib/app.ts';
import { type BundledFunctions, bundleFunctions, functionsIn } from '../../lib/bundling/bundle-functions.ts';
import { TRIMS } from '../../lib/bundling/trim-sdk.ts';
import { FUNCTION_NAMES } from '../../lib/function-specs.ts';
import { pathOf, resourcesOf, type SynthesizedTemplate, templateOf } from './helpers/synthesized.ts';

const ROOT = fileURLToPath(new URL('../../functions', import.meta.url));
const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));
const NAMES = [...FUNCTION_NAMES, TENANT_CLAIM_FUNCTION];
/** Larger bundles make cold starts noticeably slower. */
const MAX_BYTES = 250 * 1024;
const LAMBDA = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_SESSION_TOKEN: 'token',
};

const run = (program: string, environment: Readonly<Record<string, string>>) =>
  promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env: environment });

/** Resolves a value of the template like CloudFormation, with the logical ids of resources as their names. */
const resolve = (value: unknown): string => {
  if (typeof value === 'string') return value;
  const [[name, operand] = []] = Object.entries(value as Record<string, unknown>);
  if (name === 'Fn::Join') {
    const [separator, parts] = operand as [string, unknown[]];
    return parts.map(resolve).join(separator);
  }
  const [target, attribute] = [operand].flat().map(String);
  if (attribute === 'ApiEndpoint') return 'wss://example.execute-api.eu-west-1.amazonaws.com';
  return `${target}`;
};

const environmentOf = (template: SynthesizedTemplate, name: string): Record<string, string> => {
  const found = resourcesOf(template, 'AWS::Lambda::Function').find((one) =>
    pathOf(one).includes(`/${name}/`),
  );
  const environment = found?.Properties.Environment as { Variables: Record<string, unknown> } | undefined;
  return Object.fromEntries(
    Object.entries(environment?.Variables ?? {}).map(([key, value]) => [key, resolve(value)]),
  );
};

test('functions/ contains exactly the functions of the contract', () => {
  expect(functionsIn(ROOT)).toEqual([...NAMES].sort());
});

describe('bundles', () => {
  const template = templateOf({});
  let bundles: BundledFunctions;
  beforeAll(() => {
    bundles = bundleFunctions(ROOT, NAMES);
  });
  afterAll(() => bundles.dispose());
  const fileOf = (name: string) => join(bundles.directoryOf(name), 'index.mjs');

  test('every file that should be trimmed is in the bundles and is trimmed', () => {
    expect(bundles.trimmed).toEqual(Object.keys(TRIMS).sort());
  });

  test.each(NAMES)('%s has at most 250 KB', (name) => {
    expect(statSync(fileOf(name)).size).toBeLessThanOrEqual(MAX_BYTES);
  });

  test('the program that evaluates expressions is only beside the functions that run it', () => {
    const beside = NAMES.filter((name) =>
      existsSync(join(bundles.directoryOf(name), 'expression-program.mjs')),
    );
    expect(beside).toEqual(['conversion-rules', 'run-conversion-rule']);
  });

  test.each(NAMES)('%s starts with the environment in the template', async (name) => {
    const program = `
      const { handler } = await import(${JSON.stringify(pathToFileURL(fileOf(name)).href)});
      process.stdout.write(typeof handler);`;
    const { stdout } = await run(program, { ...LAMBDA, ...environmentOf(template, name) });
    expect(stdout).toBe('function');
  });
});

test('a bundle signs its calls with the credentials from Lambda’s environment', async () => {
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const bundles = bundleFunctions(FIXTURES, ['get-item', 'put-rule']);
  try {
    const { port } = server.address() as AddressInfo;
    for (const name of ['get-item', 'put-rule']) {
      const url = pathToFileURL(join(bundles.directoryOf(name), 'index.mjs')).href;
      await run(`await (await import(${JSON.stringify(url)})).handler();`, {
        ...LAMBDA,
        AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
      });
    }
  } finally {
    bundles.dispose();
    server.close();
  }
  expect(authorizations).toEqual([
    expect.stringMatching(/Credential=AKIDEXAMPLE\/\d+\/eu-west-1\/dynamodb\//),
    expect.stringMatching(/Credential=AKIDEXAMPLE\/\d+\/eu-west-1\/events\//),
  ]);
});

test('a bundle evaluates expressions in a process without credentials and files', async () => {
  const bundles = bundleFunctions(FIXTURES, ['evaluate']);
  try {
    const url = pathToFileURL(join(bundles.directoryOf('evaluate'), 'index.mjs')).href;
    const program = `
      const { handler } = await import(${JSON.stringify(url)});
      process.stdout.write(JSON.stringify(await handler('acme', ['$uppercase($.a)', '$error($.a)'], { a: 'x' })));`;
    const { stdout } = await run(program, LAMBDA);
    expect(JSON.parse(stdout)).toEqual([{ text: 'X' }, { fault: { code: 'D3137', position: 7 } }]);
  } finally {
    bundles.dispose();
  }
});

test('the same sources result in the same assets', () => {
  const assetsOf = () => {
    const outdir = mkdtempSync(join(tmpdir(), 'bulkhead-twice-'));
    try {
      const { app } = createApp({ outdir, validate: false });
      const template = app.synth().getStackByName('Bulkhead').template as SynthesizedTemplate;
      return resourcesOf(template, 'AWS::Lambda::Function').map((one) => one.Properties.Code);
    } finally {
      rmSync(outdir, { recursive: true });
    }
  };
  expect(assetsOf()).toEqual(assetsOf());
});
