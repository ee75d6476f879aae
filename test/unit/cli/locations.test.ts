import { describe, expect, test } from '@jest/globals';
import { fakeApi, problem } from '../client/fake-api.ts';
import { run } from './harness.ts';

const CREATE = ['container', 'create', 'mini'];
const RULE = ['rule', 'set', 'r', '--event-pattern', '{"source":["x"]}', '--name', 'web'];
const HOST = '0a4b5c6d-1111-4222-8333-444455556666';

const shownFor = async (words: readonly string[], pointer: string): Promise<string> => {
  const reply = problem(400, 'validation-failed', { errors: [{ pointer, detail: 'Is wrong.' }] });
  const { stderr } = await run(words, { fetch: fakeApi(reply).fetch });
  return /^ {2}(.*): Is wrong\.$/m.exec(stderr)?.[1] ?? stderr;
};

describe('an error shows the option or argument for a pointer', () => {
  test.each<[readonly string[], string, string]>([
    [CREATE, '/body/image', '<image>'],
    [CREATE, '/body/name', '--name'],
    [CREATE, '/body/runtimeType', '--runtime-type'],
    [CREATE, '/body/switchName', '--switch-name'],
    [CREATE, '/body/command/0', '<command>'],
    [CREATE, '/body/env/name', '--env'],
    [CREATE, '/body/workingDir', '--working-dir'],
    [CREATE, '/body/labels/name', '--label'],
    [CREATE, '/body/resources/memoryMB', '--memory'],
    [CREATE, '/body/resources/cpus', '--cpus'],
    [CREATE, '/body/resources/diskMB', '--disk'],
    [CREATE, '/body/ports/0/hostPort', '--publish'],
    [CREATE, '/body/restartPolicy/maxRetries', '--restart'],
    [CREATE, '/body/placement/hostId', '--host-id'],
    [CREATE, '/body/placement/hostLabels/zone', '--host-label'],
    [CREATE, '/body/network/egress/default', '--egress'],
    [CREATE, '/body/network/egress/allow/0/cidr', '--allow'],
    [CREATE, '/body/network/peers', '--peers'],
    [CREATE, '/headers/idempotency-key', '--idempotency-key'],
    [RULE, '/body/eventPattern/source', '--event-pattern'],
    [RULE, '/body/select/name', '--name'],
    [RULE, '/body/select/labels/app', '--label'],
    [RULE, '/body/maxContainers', '--max-containers'],
    [RULE, '/body/cooldownSeconds', '--cooldown'],
    [['image', 'import', 'web', '--host', HOST, '--path', '/x'], '/body/name', '<name>'],
    [['image', 'import', 'web', '--host', HOST, '--path', '/x'], '/body/source/path', '--path'],
    [['container', 'list', '--state', 'x'], '/query/state', '--state'],
    [['container', 'exec', 'web', '--', 'true'], '/body/timeoutSeconds', '--timeout'],
  ])('%s: %s is %s', async (words, pointer, expected) => {
    expect(await shownFor(words, pointer)).toBe(expected);
  });

  test('and the pointer itself if the command has no option for it', async () => {
    expect(await shownFor(CREATE, '/body/unknown')).toBe('/body/unknown');
  });
});

test('an error about a missing resource names the command that lists the existing ones', async () => {
  const { stderr } = await run(['container', 'get', 'x'], {
    fetch: fakeApi(problem(404, 'not-found')).fetch,
  });
  expect(stderr).toContain('Try:   List the existing ones with `bulkhead container list`.');
});

test('a token that the gateway refuses results in advice about the token', async () => {
  const reply = {
    status: 401,
    body: { message: 'Unauthorized' },
    headers: { 'content-type': 'application/json' },
  };
  const { exitCode, stderr } = await run(['container', 'list'], { fetch: fakeApi(reply).fetch });
  expect(exitCode).toBe(4);
  expect(stderr).toContain(
    'The token is not valid or has expired. Run `bulkhead login`, or set BULKHEAD_TOKEN.',
  );
});
