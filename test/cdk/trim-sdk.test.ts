import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { bundleFunctions, type FunctionAssets } from '../../lib/bundling/bundle-functions.ts';
import { TRIMS, type Trims, trimSdk } from '../../lib/bundling/trim-sdk.ts';
import {
  endpointResolver,
  onlyErrors,
  onlyRegistered,
  onlyVersion,
  withoutRegions,
} from '../../lib/bundling/trimmed-sources.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));
const SOURCE = join(FIXTURES, 'sdk-answers', 'index.ts');
const LAMBDA = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' };
const TYPE = 'com.amazonaws.dynamodb.v20120810#';
const THROTTLED = [400, { __type: `${TYPE}ThrottlingException`, message: 'slower' }] as const;

type Answer = readonly [status: number, body: object];

/** The server's responses by name, in order. The last one is repeated. */
const SCRIPTS: Readonly<Record<string, readonly Answer[]>> = {
  answers: [[200, { Item: { pk: { S: 'a' }, n: { N: '1' }, b: { B: 'aGk=' }, m: { M: { l: { L: [] } } } } }]],
  condition: [
    [
      400,
      {
        __type: `${TYPE}ConditionalCheckFailedException`,
        message: 'The conditional request failed',
        Item: { pk: { S: 'a' }, secret: { B: 'aGk=' }, revision: { N: '7' } },
      },
    ],
  ],
  cancelled: [
    [
      400,
      {
        __type: `${TYPE}TransactionCanceledException`,
        Message: 'Transaction cancelled',
        CancellationReasons: [
          { Code: 'None' },
          { Code: 'ConditionalCheckFailed', Message: 'no', Item: { pk: { S: 'a' }, secret: { B: 'aGk=' } } },
        ],
      },
    ],
  ],
  'throttled-once': [THROTTLED, [200, { Item: { pk: { S: 'a' } } }]],
  throttled: [THROTTLED],
  'in-progress': [
    [400, { __type: `${TYPE}TransactionInProgressException`, Message: 'another with that token' }],
    [200, {}],
  ],
  unavailable: [[500, { __type: `${TYPE}InternalServerError`, message: 'ours' }]],
  missing: [[400, { __type: `${TYPE}ResourceNotFoundException`, message: 'no table' }]],
  unheard: [[400, { __type: `${TYPE}NobodyKnowsException`, message: 'new' }]],
  arn: [[400, { __type: 'ExecutionAlreadyExists', message: 'there is one' }]],
  token: [[400, { __type: 'TaskTimedOut', message: 'too late' }]],
};
const TABLES = Object.keys(SCRIPTS).filter((name) => name !== 'arn' && name !== 'token');

let server: Server;
let bundles: FunctionAssets;
const calls = new Map<string, number>();

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const name = Object.keys(SCRIPTS).find((one) => text.includes(`"${one}"`)) ?? '';
    const script = SCRIPTS[name] ?? [];
    const key = `${request.headers['x-amz-target']} ${name}`;
    const turn = calls.get(key) ?? 0;
    calls.set(key, turn + 1);
    const [status, body] = script[Math.min(turn, script.length - 1)] ?? [404, {}];
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  bundles = bundleFunctions(FIXTURES, ['sdk-answers']);
});
afterAll(() => {
  bundles.dispose();
  server.close();
});

/** The result of `expression` over the fixture, in a separate process with the complete SDK or with the trimmed one. */
const evaluate = async (file: string, expression: string): Promise<unknown> => {
  calls.clear();
  const { port } = server.address() as AddressInfo;
  const program = `const sdk = await import(${JSON.stringify(pathToFileURL(file).href)});
    process.stdout.write(JSON.stringify(await sdk.${expression}));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...LAMBDA, AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` },
  });
  // The lines before it are metrics of throttled calls.
  return JSON.parse(stdout.split('\n').at(-1) ?? '');
};
const whole = (expression: string) => evaluate(SOURCE, expression);
const bundled = (expression: string) =>
  evaluate(join(bundles.directoryOf('sdk-answers'), 'index.mjs'), expression);

describe('in a bundle', () => {
  test('responses, errors and retries are the same as with the complete SDK', async () => {
    const expression = `answersTo(${JSON.stringify(TABLES)})`;
    const ours = (await bundled(expression)) as Record<string, Record<string, unknown>>;
    expect(ours).toEqual(await whole(expression));
    expect(ours['get condition']).toMatchObject({
      name: 'ConditionalCheckFailedException',
      status: 400,
      attempts: 1,
      item: { secret: { B: { 0: 104, 1: 105 } }, revision: { N: '7' } },
      is: ['ConditionalCheckFailedException', 'DynamoDBServiceException'],
    });
    expect(ours['write cancelled']).toMatchObject({
      reasons: [{ Code: 'None' }, { Code: 'ConditionalCheckFailed', Item: { secret: { B: { 0: 104 } } } }],
      is: ['DynamoDBServiceException', 'TransactionCanceledException'],
    });
    expect(ours['get throttled-once']).toMatchObject({ answer: { Item: { pk: { S: 'a' } } }, attempts: 2 });
    expect(ours['get throttled']).toMatchObject({
      name: 'ThrottlingException',
      attempts: 2,
      message: 'slower',
    });
    expect(ours['write in-progress']).toMatchObject({ attempts: 2 });
    expect(ours['get unavailable']).toMatchObject({ fault: 'server', attempts: 2 });
    expect(ours['get missing']).toMatchObject({ name: 'ResourceNotFoundException', message: 'no table' });
  });

  test('responses and errors of Step Functions are the same too', async () => {
    const start = (await bundled(`startOf('arn')`)) as Record<string, unknown>;
    expect(start).toEqual(await whole(`startOf('arn')`));
    expect(start).toMatchObject({ name: 'ExecutionAlreadyExists', message: 'there is one', attempts: 1 });
    expect(await bundled(`taskAnswer('token')`)).toBe('settled');
  });

  test('endpoints are the same as with the complete SDK in every partition', async () => {
    const regions = [
      'eu-west-1',
      'us-east-1',
      'ap-southeast-7',
      'cn-north-1',
      'us-iso-east-1',
      'us-isob-east-1',
    ];
    const more = ['us-isof-south-1', 'eu-isoe-west-1', 'eusc-de-east-1', 'xx-new-1', 'mars-north-9'];
    const expression = `endpointsIn(${JSON.stringify([...regions, ...more])})`;
    const ours = (await bundled(expression)) as string[][];
    expect(ours).toEqual(await whole(expression));
    expect(ours[3]).toContain('https://dynamodb.cn-north-1.amazonaws.com.cn/');
  });
});

describe('the bundling fails', () => {
  const bundleWith = (trims: Trims, source: string) =>
    build({
      stdin: { contents: source, resolveDir: FIXTURES },
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      mainFields: ['module', 'main'],
      logLevel: 'silent',
      plugins: [trimSdk(trims, () => undefined)],
    });
  const ERRORS = '@aws-sdk/client-sfn/dist-es/models/errors.js';
  const IMPORT = `export { TaskTimedOut } from '@aws-sdk/client-sfn';`;

  test('if a file to be trimmed does not exist', async () => {
    await expect(bundleWith({ '@aws-sdk/core/moved.js': () => '' }, '')).rejects.toThrow(
      '@aws-sdk/core/moved.js should be trimmed but does not exist',
    );
  });

  test('if a replacement lacks an imported name', async () => {
    await expect(bundleWith({ [ERRORS]: () => 'export const other = 1;' }, IMPORT)).rejects.toThrow(
      /No matching export in ".*models\/errors\.js"/,
    );
  });

  test('if a function imports an error that was removed', async () => {
    const other = IMPORT.replace('TaskTimedOut', 'StateMachineDoesNotExist');
    await expect(bundleWith(TRIMS, IMPORT)).resolves.toBeDefined();
    await expect(bundleWith(TRIMS, other)).rejects.toThrow('"StateMachineDoesNotExist"');
  });
});

const ERROR = `export class A extends __BaseException {
    constructor(opts) {
        super(opts);
    }
}
`;
const BASE = 'import { B as __BaseException } from "./B";\n';
const SCHEMA = `import { A, } from "../models/errors";
export var A$ = [-3, n0, _A,
    { [_e]: _c },
    [_m],
    [0]
];
n0_registry.registerError(A$, A);
`;

test.each<[string, () => unknown]>([
  ['a package without a version', () => onlyVersion('{"name":"x"}')],
  ['errors without classes', () => onlyErrors([])(BASE)],
  ['a missing error', () => onlyErrors(['Z'])(BASE + ERROR)],
  ['other code in the list of errors', () => onlyErrors(['A'])(`${BASE}${ERROR}export const x = 1;`)],
  ['schemas without errors', () => onlyRegistered(() => BASE + ERROR)('export var A$ = [];')],
  [
    'errors that are registered differently',
    () => onlyRegistered(() => BASE + ERROR)(SCHEMA.replace('n0_registry.registerError', 'register')),
  ],
  ['partitions under another name', () => withoutRegions('export const other = {\n};')],
  [
    'other code after the partitions',
    () => withoutRegions('export const partitionsInfo = {"partitions":[]\n};\nmore();'),
  ],
])('%s: refused', (_, make) => {
  expect(make).toThrow('The SDK has changed');
});

test('an error is removed with its schema, unless it is used or the SDK retries it', () => {
  const repeated = ERROR.replace('A', 'R').replace('{\n', '{\n    $retryable = {};\n');
  const errors = `${BASE}${ERROR}${repeated}`;
  expect(onlyErrors([])(errors)).not.toContain('class A ');
  expect(onlyErrors([])(errors)).toContain('class R ');
  expect(onlyRegistered(() => onlyErrors([])(errors))(SCHEMA)).toBe(
    'import { R } from "../models/errors";\n',
  );
  expect(onlyRegistered(() => errors)(SCHEMA)).toContain('n0_registry.registerError(A$, A);');
});

test.each(['UseFIPS', 'UseDualStack', 'EndpointId'])('%s is refused, not ignored', async (asked) => {
  const source = endpointResolver('x').replace(
    /^import .*$/m,
    'const partition = () => ({ dnsSuffix: "y" });',
  );
  const { defaultEndpointResolver } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  expect(defaultEndpointResolver({ Region: 'r' }).url.href).toBe('https://x.r.y/');
  expect(() => defaultEndpointResolver({ Region: 'r', [asked]: 'yes' })).toThrow('not in this bundle');
});
