import { describe, expect, test } from '@jest/globals';
import { createProgram } from '../../../cli/program.ts';
import { pagesOfOneTime } from '../../helpers/log-pages.ts';
import { type Call, fakeApi, problem, type Reply } from '../client/fake-api.ts';
import { containerOf, ID, OPERATION_ID, operationOf } from '../client/records.ts';
import { run, Text } from './harness.ts';

const succeeded = operationOf({
  state: 'Succeeded',
  steps: [
    { name: 'Place', state: 'Succeeded', startedAt: '2026-01-01T00:00:00.000Z', durationMs: 40 },
    { name: 'StartContainer', state: 'Succeeded', startedAt: '2026-01-01T00:00:00.000Z', durationMs: 1300 },
  ],
});
const running = containerOf({ state: 'Running', uptimeSeconds: 65 });

/** An API in which every operation succeeds. */
const api = (change: (call: Call) => Reply | undefined = () => undefined) =>
  fakeApi((call) => {
    const own = change(call);
    if (own !== undefined) return own;
    const { pathname } = new URL(call.url);
    if (pathname.startsWith('/v1/operations/')) return { status: 200, body: succeeded };
    if (call.method === 'GET' && pathname === '/v1/containers')
      return {
        status: 200,
        body: { items: [running, containerOf({ name: 'DEMO', runtimeType: 'Default' })], nextCursor: null },
      };
    if (call.method === 'GET') return { status: 200, body: running, headers: { etag: '"3"' } };
    return { status: 202, body: { container: running, operation: operationOf() } };
  });

describe('help', () => {
  const io = { stdout: new Text(80), stderr: new Text(80), env: {}, home: '/home/me', cwd: '/' } as never;
  const program = createProgram(io);
  const leaves = (command: typeof program): (typeof program)[] =>
    command.commands.length === 0
      ? [command]
      : command.commands.flatMap((one) => leaves(one as typeof program));

  const pathOf = (command: typeof program): string =>
    command.parent === null ? '' : `${pathOf(command.parent as typeof program)} ${command.name()}`.trim();

  test.each(leaves(program).map((command) => [pathOf(command)] as const))(
    '"%s" has an example, and fits 80 columns',
    async (path) => {
      const { stdout, exitCode } = await run([...path.split(' '), '--help'], { columns: 80 });
      expect(exitCode).toBe(0);
      expect(stdout).toContain('Examples:');
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
      const [, options = ''] = stdout.split('Options:');
      for (const line of (options.split('Examples:')[0] ?? '').split('\n'))
        expect(line.length).toBeLessThanOrEqual(80);
    },
  );
});

describe('container create', () => {
  test('every option is a member of the request', async () => {
    const { fetch, calls } = api();
    const words = [
      ...[
        'container',
        'create',
        'NanoServer',
        '-n',
        'web',
        '-r',
        'hyperv',
        '--switch-name',
        'Virtual Switch',
      ],
      ...[
        '-e',
        'A=b=c',
        '-e',
        'D=',
        '-w',
        'C:\\app',
        '-u',
        'me',
        '-t',
        '-l',
        'app=web',
        '-m',
        '2g',
        '--cpus',
        '1.5',
        '--disk',
        '4g',
      ],
      ...[
        '-p',
        '8080:80',
        '-p',
        '53/udp',
        '--restart',
        'on-failure:3',
        '--host-id',
        ID,
        '--host-label',
        'rack=7',
      ],
      ...['--start', '--auto-remove', '--', 'cmd', '/c', '--flag'],
    ];
    expect(await run(words, { fetch })).toMatchObject({ exitCode: 0 });
    expect(calls[0]).toMatchObject({ method: 'POST', url: 'https://api.example.com/v1/containers' });
    expect(calls[0]?.body).toEqual({
      name: 'web',
      image: 'NanoServer',
      runtimeType: 'hyperv',
      switchName: 'Virtual Switch',
      env: { A: 'b=c', D: '' },
      workingDir: 'C:\\app',
      user: 'me',
      tty: true,
      labels: { app: 'web' },
      resources: { memoryMB: 2048, cpus: 1.5, diskMB: 4096 },
      ports: [
        { hostPort: 8080, containerPort: 80 },
        { containerPort: 53, protocol: 'udp' },
      ],
      restartPolicy: { name: 'on-failure', maxRetries: 3 },
      placement: { hostId: ID, hostLabels: { rack: '7' } },
      start: true,
      autoRemove: true,
      command: ['cmd', '/c', '--flag'],
    });
  });

  test('options that are not given are not sent', async () => {
    const { fetch, calls } = api();
    await run(['container', 'create', 'mini'], { fetch });
    expect(calls[0]?.body).toEqual({ image: 'mini' });
  });

  test('steps are written to stderr, and the container to stdout, in the format of Get-Container', async () => {
    const { fetch } = api();
    const { stdout, stderr } = await run(['container', 'create', 'mini'], { fetch });
    expect(stderr).toBe('  ✓ Place 40 ms\n  ✓ StartContainer 1.3 s\n');
    expect(stdout).toBe(
      'Name    State   Uptime   ParentImageName\n----    -----   ------   ---------------\nHYPVCON Running 00:01:05 NanoServer\n',
    );
  });

  test('--output json writes JSON to stdout and nothing to stderr', async () => {
    const { fetch } = api();
    const { stdout, stderr } = await run(['container', 'create', 'mini', '--output', 'json'], { fetch });
    expect(JSON.parse(stdout)).toMatchObject({
      container: { id: ID, state: 'Running' },
      operation: { state: 'Succeeded' },
    });
    expect(stderr).toBe('');
  });

  test('--no-wait shows the operation and does not poll it', async () => {
    const { fetch, calls } = api();
    const { stdout } = await run(['container', 'create', 'mini', '--no-wait'], { fetch });
    expect(stdout).toContain(OPERATION_ID);
    expect(calls).toHaveLength(1);
  });

  test('--dry-run shows what would be done, and the host', async () => {
    const body = {
      dryRun: true,
      wouldDo: 'create container "web"',
      placement: { fits: true, hostId: ID, reason: 'Host a has the most room.', reservation: null },
    };
    const { fetch, calls } = api(() => ({ status: 200, body }));
    const { stdout } = await run(['container', 'create', 'mini', '--dry-run'], { fetch });
    expect(stdout).toBe(
      `It would create container "web".\nIt fits on host ${ID}. Host a has the most room.\n`,
    );
    expect(calls[0]?.url).toContain('?dryRun=true');
  });

  test.each([
    [['container', 'create']],
    [['container', 'create', 'mini', '--cpus', 'many']],
    [['container', 'create', 'mini', '-p', '80:80:80']],
    [['container', 'create', 'mini', '-e', 'NOVALUE']],
    [['container', 'create', 'mini', '--restart', 'always:3']],
    [['container', 'set', 'x']],
    [['container', 'list', '--select', 'Colour']],
    [['bogus']],
  ])('%j is refused without a call to the API', async (words) => {
    const { fetch, calls } = api();
    const { exitCode, stderr } = await run(words, { fetch });
    expect([exitCode, calls.length]).toEqual([2, 0]);
    expect(stderr).not.toBe('');
  });
});

describe('other commands', () => {
  test('list sends filters unchanged, and accepts column names in any case', async () => {
    const { fetch, calls } = api();
    const words = [
      'container',
      'list',
      '-r',
      'Hyperv',
      '-l',
      'a=1',
      '-l',
      'b=2',
      '--select',
      'containername,RUNTIMETYPE',
    ];
    const { stdout } = await run(words, { fetch });
    expect(new URL(calls[0]?.url ?? '').search).toBe('?runtimeType=Hyperv&label=a%3D1&label=b%3D2&limit=200');
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'ContainerName RuntimeType',
      '------------- -----------',
      'HYPVCON       HyperV',
    ]);
  });

  test('set reads and merges labels, and writes them with a precondition', async () => {
    const { fetch, calls } = api(({ method }) =>
      method === 'GET'
        ? { status: 200, body: containerOf({ labels: { a: '1', b: '2' } }), headers: { etag: '"3"' } }
        : { status: 200, body: containerOf({ labels: { a: '9', c: '3' } }) },
    );
    const words = ['container', 'set', 'x', '--label', 'a=9', '--label', 'c=3', '--remove-label', 'b'];
    expect((await run(words, { fetch })).exitCode).toBe(0);
    expect(calls[1]).toMatchObject({ method: 'PATCH', body: { labels: { a: '9', c: '3' } } });
    expect(calls[1]?.headers['if-match']).toBe('"3"');
  });

  test('set --runtime-type starts a conversion and waits for it', async () => {
    const { fetch, calls } = api();
    const { stdout } = await run(['container', 'set', 'x', '--runtime-type', 'HyperV'], { fetch });
    expect(calls[0]).toMatchObject({ method: 'PATCH', body: { runtimeType: 'HyperV' } });
    expect(stdout).toContain('HYPVCON');
  });

  test('remove sends --force and the precondition', async () => {
    const removed = { ...succeeded, kind: 'remove' };
    const { fetch, calls } = api(({ url }) =>
      url.includes('/operations/') ? { status: 200, body: removed } : undefined,
    );
    const { stderr } = await run(['container', 'rm', 'x', '--force', '--if-match', '3'], { fetch });
    expect(calls[0]?.url).toBe('https://api.example.com/v1/containers/x?force=true');
    expect(calls[0]?.headers['if-match']).toBe('"3"');
    expect(stderr).toContain('Container "HYPVCON" was removed.');
  });

  test('exec writes both streams unchanged, and exits with the exit code of the command', async () => {
    const body = { exitCode: 3, stdout: 'out\n', stderr: 'err\n', truncated: true, timedOut: false };
    const { fetch, calls } = api(() => ({ status: 200, body }));
    const result = await run(['container', 'exec', 'x', '-e', 'A=b', '--', 'ls', '-l'], { fetch });
    expect(calls[0]?.body).toEqual({ command: ['ls', '-l'], env: { A: 'b' } });
    expect(result).toMatchObject({ exitCode: 3, stdout: 'out\n' });
    expect(result.stderr).toMatch(/^err\n.*The output is truncated/s);
  });

  test.each([
    [true, 0, 'All 1 outcomes are as expected for a HyperV container.'],
    [false, 1, '1 of 1 outcomes are not as expected for a HyperV container.'],
  ])('isolation --verify, as expected: %s', async (expected, exitCode, text) => {
    const probe = {
      name: 'mounts',
      tried: 'Mount',
      outcome: expected ? 'refused' : 'reached',
      expected,
      detail: 'tmpfs',
    };
    const body = {
      runtimeType: 'HyperV',
      verifiedAt: '2026-01-01T00:00:00.000Z',
      asExpected: expected,
      probes: [probe],
    };
    const { fetch, calls } = api(() => ({ status: 200, body }));
    const result = await run(['container', 'isolation', 'x', '--verify'], { fetch });
    expect(calls[0]).toMatchObject({
      method: 'POST',
      url: 'https://api.example.com/v1/containers/x/isolation/verify',
    });
    expect(result.exitCode).toBe(exitCode);
    expect(result.stdout).toContain(text);
    const json = await run(['container', 'isolation', 'x', '--verify', '--output', 'json'], { fetch });
    expect([json.exitCode, JSON.parse(json.stdout)]).toEqual([exitCode, body]);
  });

  test('a host is found by its name; an ambiguous name is refused with the ids', async () => {
    const host = (id: string, name: string) => ({
      ...{ id, name, os: { family: 'linux', sku: 'debian', version: '12', build: 0 }, architecture: 'amd64' },
      ...{
        kernel: '6',
        hypervisor: 'kvm',
        capabilities: { runtimeTypes: ['Default'], runtimeConversion: 'none' },
      },
      ...{
        switches: [],
        capacity: { memoryMB: 1, cpus: 1, diskMB: 1_048_576 },
        allocated: { memoryMB: 0, cpus: 0, diskMB: 0 },
      },
      ...{ utilityVmOverheadMB: 0, schedulable: true, state: 'Ready', lastSeenAt: null, agentVersion: '1' },
      ...{ labels: {}, revision: 1 },
    });
    const items = [host(ID, 'one'), host(ID.replace('0', 'a'), 'two'), host(ID.replace('0', 'b'), 'TWO')];
    const { fetch, calls } = api(({ url }) => ({
      status: 200,
      body: url.includes('?limit') ? { items, nextCursor: null } : host(ID, 'one'),
    }));
    expect((await run(['host', 'drain', 'ONE'], { fetch })).exitCode).toBe(0);
    expect(calls[1]?.url).toContain(`/v1/hosts/${ID}/drain`);
    const ambiguous = await run(['host', 'drain', 'two'], { fetch });
    expect([ambiguous.exitCode, ambiguous.stderr]).toEqual([
      2,
      expect.stringContaining('2 hosts have the name "two"'),
    ]);
  });
});

describe('errors', () => {
  test.each<[number, Reply]>([
    [2, problem(400, 'validation-failed')],
    [3, problem(404, 'not-found')],
    [4, problem(401, 'unauthorized')],
    [4, problem(403, 'missing-scope')],
    [5, problem(409, 'invalid-state')],
    [5, problem(412, 'revision-mismatch')],
    [6, problem(504, 'host-not-answering')],
    [1, problem(500, 'internal')],
  ])('exit code %i', async (exitCode, reply) => {
    const { fetch } = fakeApi(reply);
    expect(await run(['container', 'get', 'x'], { fetch })).toMatchObject({ exitCode, stdout: '' });
  });

  test('a request that was refused with 429 is retried after Retry-After, with a note', async () => {
    const turnedAway = { ...problem(429, 'too-many-requests'), headers: { 'retry-after': '0' } };
    const { fetch, calls } = fakeApi(turnedAway, { status: 200, body: containerOf() });
    const { exitCode, stderr } = await run(['container', 'get', 'x'], { fetch });
    expect([exitCode, calls.length]).toEqual([0, 2]);
    expect(stderr).toMatch(/^Too many requests\. Retrying in \d s …\n$/);
    const gateway = {
      status: 429,
      body: '{"message":"Too Many Requests"}',
      headers: { 'retry-after': '60' },
    };
    const given = { ...gateway, headers: { ...gateway.headers, 'content-type': 'application/json' } };
    const refused = await run(['container', 'get', 'x'], fakeApi(given));
    expect(refused).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('too many requests') });
  });

  const refused: Reply = {
    ...problem(400, 'validation-failed', {
      suggestion: 'Mend it.',
      requestId: 'r-7',
      errors: [{ pointer: '/body/name', detail: 'Is too \u001b[31mlong.' }],
    }),
  };

  test('text contains the message, the location, the suggestion and the request id', async () => {
    const { stderr } = await run(['container', 'create', 'mini'], { fetch: fakeApi(refused).fetch });
    expect(stderr).toBe(
      'Error: It is validation-failed.\n  --name: Is too \\x1b[31mlong.\nTry:   Mend it.\n(validation-failed, request r-7)\n',
    );
  });

  test('JSON contains the same', async () => {
    const { stderr } = await run(['container', 'create', 'mini', '-o', 'json'], {
      fetch: fakeApi(refused).fetch,
    });
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'validation-failed',
      requestId: 'r-7',
      suggestion: 'Mend it.',
    });
  });

  test('a failed operation exits with 7, and shows its problem and id', async () => {
    const error = problem(409, 'no-host-fits', { suggestion: 'Add a host.' }).body as never;
    const failed = operationOf({ state: 'Failed', error });
    const { fetch } = api(({ url }) =>
      url.includes('/operations/') ? { status: 200, body: failed } : undefined,
    );
    const { exitCode, stderr } = await run(['container', 'start', 'x'], { fetch });
    expect(exitCode).toBe(7);
    expect(stderr).toContain('It is no-host-fits.');
    expect(stderr).toContain('Add a host.');
    expect(stderr).toContain(OPERATION_ID);
  });

  test('Ctrl-C ends only the wait, and shows the command to wait again', async () => {
    const stop = new AbortController();
    const { fetch } = api(({ url }) => {
      if (!url.includes('/operations/')) return undefined;
      stop.abort(new Error('interrupted'));
      return { status: 200, body: operationOf() };
    });
    const { exitCode, stderr } = await run(['container', 'start', 'x'], { fetch, signal: stop.signal });
    expect(exitCode).toBe(130);
    expect(stderr).toContain(`bulkhead operation wait ${OPERATION_ID}`);
  });
});

describe('colours', () => {
  const { fetch } = api();
  const ESCAPE = '\u001b[';
  test('are used only on terminals, and not with NO_COLOR', async () => {
    const words = ['container', 'list'];
    const env = { BULKHEAD_API_URL: 'https://api.example.com', BULKHEAD_TOKEN: 'x' };
    expect((await run(words, { fetch, columns: 80 })).stdout).toContain(ESCAPE);
    expect((await run(words, { fetch })).stdout).not.toContain(ESCAPE);
    expect((await run(words, { fetch, columns: 80, env: { ...env, NO_COLOR: '1' } })).stdout).not.toContain(
      ESCAPE,
    );
    expect((await run(words, { fetch, columns: 80, env: { ...env, TERM: 'dumb' } })).stdout).not.toContain(
      ESCAPE,
    );
  });
});

describe('container logs', () => {
  test.each([[[]], [['--follow']]])('%j shows all of 4,000 lines with the same time', async (options) => {
    const lines = Array.from({ length: 4_000 }, (_, index) => `line ${index} ${'x'.repeat(60)}`);
    const pages = await pagesOfOneTime(lines);
    const { fetch } = api((call) => {
      const { pathname, searchParams } = new URL(call.url);
      if (!pathname.endsWith('/logs')) return { status: 200, body: containerOf({ state: 'Off' }) };
      return { status: 200, body: pages.get(searchParams.get('cursor') ?? '') };
    });
    const { stdout } = await run(['container', 'logs', 'web', ...options], { fetch });
    expect(stdout).toBe(`${lines.join('\n')}\n`);
  });
});
