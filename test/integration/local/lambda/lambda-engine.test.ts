import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { noChaos } from '../../../../local/chaos.ts';
import { FunctionNotFoundError, TemplateProblem } from '../../../../local/errors.ts';
import { LambdaEngine, type LambdaOptions } from '../../../../local/lambda/lambda-engine.ts';
import {
  functionResource,
  removeTemporaryDirectories,
  resource,
  soon,
  temporaryDirectory,
  testContext,
  writeFunctions,
} from '../../../helpers/local-fixtures.ts';

// `soon` limits waits.
jest.setTimeout(30_000);

const sources = {
  echo: 'export const handler = async (event, context) => ({ event, name: context.functionName, arn: context.invokedFunctionArn, memory: context.memoryLimitInMB, left: context.getRemainingTimeInMillis() > 0, id: context.awsRequestId });',
  nothing: 'export const handler = () => {};',
  throws:
    'class Broken extends Error { name = "Broken"; } export const handler = async () => { throw new Broken("no"); };',
  sleeps: 'export const handler = () => new Promise((done) => setTimeout(done, 60_000));',
  exits:
    'export const handler = async (event) => { if (event.exit !== undefined) process.exit(event.exit); return "fine"; };',
  rejects:
    'export const handler = async () => { Promise.reject(new TypeError("forgotten")); await new Promise((done) => setTimeout(done, 50)); };',
  breaks: 'throw new RangeError("at load");',
  callback: 'export const handler = (event, context, callback) => callback(null, 1);',
  imports: 'import "./missing.mjs"; export const handler = async () => 1;',
  counts:
    'let calls = 0; export const handler = async (event) => { calls += 1; if (event.wait) await new Promise((done) => setTimeout(done, event.wait)); return { calls, colour: process.env.COLOUR, home: process.env.HOME, region: process.env.AWS_REGION, url: process.env.AWS_ENDPOINT_URL_SFN }; };',
  prints:
    'console.log("loading"); export const handler = async () => { console.log("hello"); console.error("oops"); process.exit(1); };',
  eats: 'export const handler = async () => { const all = []; for (;;) all.push(new Array(100_000).fill(Math.random())); };',
  names: 'export const handler = async (event, context) => { console.log(context.awsRequestId); };',
  large: 'export const handler = async () => "x".repeat(6 * 1024 * 1024);',
  fails: 'export const handler = async (event) => { throw new Error("no " + event.n); };',
};
type Name = keyof typeof sources;

const engines: LambdaEngine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});
afterAll(removeTemporaryDirectories);

const make = (
  names: Readonly<Partial<Record<Name, Record<string, unknown>>>>,
  options: Partial<LambdaOptions> & { stateDir?: string } = {},
) => {
  const stateDir = options.stateDir ?? temporaryDirectory();
  const sent: { queueArn: string; body: string; attributes: Readonly<Record<string, string>> }[] = [];
  const engine = new LambdaEngine(testContext({ stateDir }), {
    assetPath: writeFunctions(temporaryDirectory(), sources),
    chaos: noChaos,
    maxConcurrency: 4,
    asyncRetryDelaysMs: [1, 1],
    sendToQueue: (queueArn, body, attributes) => sent.push({ queueArn, body, attributes }),
    ...options,
  });
  engines.push(engine);
  for (const [name, properties] of Object.entries(names)) {
    engine.create(resource('AWS::Lambda::Function', functionResource(name, properties).Properties, name));
  }
  engine.setEnvironment({ AWS_ENDPOINT_URL_SFN: 'http://local' });
  const invoke = async (name: Name, event: unknown = {}) => {
    const result = await engine.invoke(name, JSON.stringify(event));
    return { ...result, answer: JSON.parse(result.payload) };
  };
  return { engine, invoke, sent, stateDir };
};

describe('a function', () => {
  test('gets its event and context, and returns JSON', async () => {
    const { invoke } = make({ echo: { MemorySize: 256 } });
    const { answer, requestId, functionError } = await invoke('echo', { a: [1] });
    expect(functionError).toBeUndefined();
    expect(answer).toEqual({
      event: { a: [1] },
      name: 'echo',
      arn: 'arn:aws:lambda:us-east-1:000000000000:function:echo',
      memory: '256',
      left: true,
      id: requestId,
    });
  });

  test('can be named by ARN and qualifier', async () => {
    const { engine } = make({ nothing: {} });
    const arn = 'arn:aws:lambda:us-east-1:000000000000:function:nothing:$LATEST';
    expect((await engine.invoke(arn, '{}')).payload).toBe('null');
    await expect(engine.invoke('nobody', '{}')).rejects.toThrow(FunctionNotFoundError);
  });

  test('has its own environment', async () => {
    const { engine, invoke } = make({
      counts: { Environment: { Variables: { COLOUR: 'red', AWS_ENDPOINT_URL_SFN: 'https://aws' } } },
    });
    engine.setEnvironment({ AWS_ENDPOINT_URL_SFN: 'http://local' });
    const { answer } = await invoke('counts');
    expect(answer).toEqual({ calls: 1, colour: 'red', region: 'us-east-1', url: 'http://local' });
    expect(process.env.COLOUR).toBeUndefined();
  });

  test('writes to its log file, even when it crashes', async () => {
    const { invoke, stateDir } = make({ prints: {} });
    const { answer, requestId } = await invoke('prints');
    const [loading, hello, oops, failure] = readFileSync(join(stateDir, 'logs', 'prints.log'), 'utf8').split(
      '\n',
    );
    expect([loading, hello, oops]).toEqual(['loading', 'hello', 'oops']);
    expect(JSON.parse(failure ?? '')).toMatchObject({ level: 'ERROR', requestId, error: answer });
  });

  test.each<[Name, Record<string, unknown>, RegExp, string]>([
    ['throws', {}, /^Broken$/, 'no'],
    ['breaks', {}, /^RangeError$/, 'at load'],
    ['imports', {}, /^Runtime\.ImportModuleError$/, 'missing.mjs'],
    ['callback', {}, /^Runtime\.CallbackHandlerDeprecated$/, 'promise'],
    ['rejects', {}, /^Runtime\.UnhandledPromiseRejection$/, 'TypeError: forgotten'],
    ['sleeps', { Timeout: 1 }, /^Sandbox\.Timedout$/, 'Task timed out after 1.00 seconds'],
    ['eats', { MemorySize: 128 }, /^Runtime\.OutOfMemory$/, 'signal: killed'],
    ['large', {}, /^Function\.ResponseSizeTooLarge$/, '6291456'],
  ])('%s: its error has the format of Lambda’s errors', async (name, properties, errorType, message) => {
    const { invoke } = make({ [name]: properties });
    const { answer, functionError } = await invoke(name);
    expect(functionError).toBe('Unhandled');
    expect(answer.errorType).toMatch(errorType);
    expect(answer.errorMessage).toContain(message);
  });

  test('that exits results in a platform error, and the next invocation uses a new environment', async () => {
    const { invoke } = make({ exits: {} });
    const { answer, requestId } = await invoke('exits', { exit: 3 });
    expect(answer).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: `RequestId: ${requestId} Error: Runtime exited with error: exit status 3`,
    });
    expect((await invoke('exits')).answer).toBe('fine');
  });

  test('that throws keeps its environment, which runs one invocation at a time', async () => {
    const { invoke } = make({ counts: {} });
    expect((await invoke('counts')).answer.calls).toBe(1);
    expect((await invoke('counts')).answer.calls).toBe(2);
    const both = await Promise.all([invoke('counts', { wait: 1_500 }), invoke('counts', { wait: 1_500 })]);
    expect(both.map((one) => one.answer.calls).sort()).toEqual([1, 3]);
  });

  test('is throttled beyond its reserved concurrency, and available again afterwards', async () => {
    const { engine, invoke } = make({ counts: { ReservedConcurrentExecutions: 2 } });
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, () => engine.invoke('counts', '{"wait":300}')),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([
      ...['fulfilled', 'fulfilled'],
      ...['rejected', 'rejected', 'rejected'],
    ]);
    for (const one of all)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'TooManyRequestsException' });
    expect((await invoke('counts')).answer.calls).toBe(2);
  });

  test('without a reserved concurrency queues further invocations', async () => {
    const { invoke } = make({ counts: {} }, { maxConcurrency: 1 });
    const all = await Promise.all(Array.from({ length: 5 }, () => invoke('counts', { wait: 5 })));
    expect(all.map((one) => one.answer.calls).sort()).toEqual([1, 2, 3, 4, 5]);
  });

  test('a caller can stop waiting, and the invocation continues', async () => {
    const { engine, invoke } = make({ counts: {} }, { maxConcurrency: 1 });
    const controller = new AbortController();
    const waiting = engine.invoke('counts', '{"wait":20}', controller.signal);
    controller.abort(new RangeError('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect((await invoke('counts')).answer.calls).toBe(2);
  });

  test('code that is not in the assembly is refused by name', () => {
    const { engine } = make({});
    const properties = { ...functionResource('echo').Properties, Handler: 'main.handler' };
    expect(() => engine.create(resource('AWS::Lambda::Function', properties))).toThrow(TemplateProblem);
    expect(() => engine.create(resource('AWS::Lambda::Function', properties))).toThrow(/no module main/);
  });
});

describe('an asynchronous invocation', () => {
  const configure = (engine: LambdaEngine, functionName: string, properties: Record<string, unknown>) =>
    engine.create(
      resource('AWS::Lambda::EventInvokeConfig', {
        FunctionName: functionName,
        Qualifier: '$LATEST',
        ...properties,
      }),
    );

  test('that fails is attempted three times, then sent to both destinations', async () => {
    const { engine, sent } = make({ fails: { DeadLetterConfig: { TargetArn: 'arn:dead' } } });
    configure(engine, 'fails', { DestinationConfig: { OnFailure: { Destination: 'arn:failed' } } });
    await engine.activate();
    const requestId = await engine.invokeAsync('fails', '{"n":1}');
    await soon(() => (sent.length === 2 ? true : undefined));
    const [failed, dead] = sent;
    expect(failed?.queueArn).toBe('arn:failed');
    expect(JSON.parse(failed?.body ?? '')).toMatchObject({
      version: '1.0',
      requestContext: { requestId, condition: 'RetriesExhausted', approximateInvokeCount: 3 },
      requestPayload: { n: 1 },
      responsePayload: { errorType: 'Error', errorMessage: 'no 1' },
    });
    expect(dead).toEqual({
      queueArn: 'arn:dead',
      body: '{"n":1}',
      attributes: { RequestID: requestId, ErrorCode: '200', ErrorMessage: 'no 1' },
    });
  });

  test('respects its number of retries', async () => {
    const { engine, sent } = make({ fails: { DeadLetterConfig: { TargetArn: 'arn:dead' } } });
    configure(engine, 'fails', {
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnFailure: { Destination: 'arn:failed' } },
    });
    await engine.activate();
    await engine.invokeAsync('fails', '{}');
    await soon(() => (sent.length === 2 ? true : undefined));
    expect(JSON.parse(sent[0]?.body ?? '').requestContext.approximateInvokeCount).toBe(1);
  });

  test('with a payload that is not JSON fails like any other', async () => {
    const { engine, sent } = make({ nothing: {} });
    configure(engine, 'nothing', { DestinationConfig: { OnFailure: { Destination: 'arn:failed' } } });
    await engine.activate();
    await engine.invokeAsync('nothing', 'plain text');
    await soon(() => (sent.length === 1 ? true : undefined));
    expect(JSON.parse(sent[0]?.body ?? '')).toMatchObject({
      requestPayload: 'plain text',
      responsePayload: { errorType: 'SyntaxError' },
    });
  });

  test('that was accepted and has not run is run after a restart', async () => {
    const before = make({ prints: {} });
    await before.engine.invokeAsync('prints', '{}');
    await before.engine.stop();
    const after = make(
      { fails: {}, prints: { DeadLetterConfig: { TargetArn: 'arn:dead' } } },
      { stateDir: before.stateDir },
    );
    await after.engine.activate();
    await soon(() => (after.sent.length === 1 ? true : undefined));
    expect(after.sent[0]?.body).toBe('{}');
  });

  test('is repeated by chaos with the same request id', async () => {
    const chaos = { duplicates: () => true, reorders: () => false };
    const { engine, stateDir } = make({ names: {} }, { chaos });
    await engine.activate();
    const requestId = await engine.invokeAsync('names', '{}');
    const printed = await soon(() => {
      const file = join(stateDir, 'logs', 'names.log');
      const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
      return text.split('\n').length > 2 ? text : undefined;
    });
    expect(printed).toBe(`${requestId}\n${requestId}\n`);
  });
});
