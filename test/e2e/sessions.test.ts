import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hostNameOf } from '../../agent/runtimes/host-name.ts';
import { nodeWebSocket } from '../../core/client/node-web-socket.ts';
import { openSession } from '../../core/client/session-connection.ts';
import type { SessionRequest } from '../../core/contract/session.ts';
import {
  eventually,
  type LocalCloud,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';
import { askSession, collect, cuttable, joinSession } from '../helpers/session-client.ts';

/** Sessions, exec and logs in the local cloud, with simulated hosts. Messages are delivered late and twice. */
let cloud: LocalCloud;
beforeAll(async () => {
  cloud = await startLocalCloud({
    simulate: 3,
    environment: { BULKHEAD_CHAOS: 'duplicate=0.2,reorder=0.2,seed=5' },
  });
  await waitForHosts(cloud, 3);
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 30_000);

const LINUX = { image: 'mini', command: ['sleep', 'infinity'] };

const run = async (body: object) => {
  const { body: accepted } = await cloud.call('POST', '/v1/containers', { body: { ...body, start: true } });
  const operation = await waitForOperation(cloud, accepted.operation.id);
  expect(operation).toMatchObject({ state: 'Succeeded' });
  return accepted.container as { id: string; name: string };
};
const join = (id: string, body?: SessionRequest) => joinSession(cloud, id, body);

describe('a session', () => {
  test('runs a shell with echo, exit code and both streams', async () => {
    const { id } = await run(LINUX);
    const session = await join(id);
    const output = collect(session);
    await session.write(Buffer.from('hostname\nnope\nexit 7\n'));
    expect(await session.exit).toEqual({ exitCode: 7, reason: 'exited' });
    expect(output.text()).toBe(`${hostNameOf(id)}\n`);
    expect(output.text('stderr')).toContain('nope: not found');
  });

  test('on a terminal has echo, ^C and ^D, and is labelled as simulated', async () => {
    const { id } = await run(LINUX);
    const session = await join(id, { tty: true, columns: 80, rows: 24 });
    const output = collect(session);
    await output.until(/\$ $/);
    await session.write(Buffer.from('sleep 100\u0003'));
    await output.until(/\^C\r\n\$ $/);
    await session.write(Buffer.from('uname -r\r'));
    await output.until(/simulated\)\r\n\$ $/);
    await session.write(Buffer.from('\u0004'));
    expect(await session.exit).toMatchObject({ exitCode: 0 });
    expect(output.text()).toMatch(/^Simulated shell/);
  });

  test('delivers all output of a reader after the end of its input', async () => {
    const { id } = await run(LINUX);
    const session = await join(id, { command: ['cat'] });
    const output = collect(session);
    await session.write(Buffer.from('one two'));
    session.endInput();
    expect(await session.exit).toEqual({ exitCode: 0, reason: 'exited' });
    expect(output.text()).toBe('one two');
  });

  test('passes a signal that ends a program', async () => {
    const { id } = await run(LINUX);
    const session = await join(id, { command: ['sleep', '1000'] });
    session.signal('TERM');
    expect(await session.exit).toEqual({ exitCode: 143, reason: 'exited' });
  });

  test('runs as administrator', async () => {
    const { id } = await run({ image: 'nanoserver', runtimeType: 'HyperV' });
    const session = await join(id, { runAsAdministrator: true, command: ['whoami'] });
    const output = collect(session);
    await session.exit;
    expect(output.text()).toBe('ContainerAdministrator\n');
  });

  test('that is attached to the main process ends with its exit code, and the container is Off', async () => {
    const { id } = await run({ image: 'nanoserver', command: ['cmd'], tty: true });
    const session = await join(id, { attach: true, tty: true });
    const output = collect(session);
    await output.until(/C:\\>$/);
    await session.write(Buffer.from('cmd /c ver\rexit 3\r'));
    expect(await session.exit).toEqual({ exitCode: 3, reason: 'exited' });
    expect(output.text()).toContain('10.0.14393');
    await eventually(async () => {
      const { body } = await cloud.call('GET', `/v1/containers/${id}`);
      return body.state === 'Off' && body.exitCode === 3 ? true : undefined;
    });
  });

  test('transfers megabytes in both directions unchanged, over ten disconnects', async () => {
    const { id } = await run(LINUX);
    const network = cuttable();
    const session = await joinSession(cloud, id, { command: ['cat'] }, network.webSocketFactory);
    const output = collect(session);
    const sent = randomBytes(4 * 1024 * 1024);
    await session.write(Buffer.alloc(1));
    await eventually(async () => (output.bytes() === 1 ? true : undefined));
    await sleep(500);
    const cutting = (async () => {
      for (let cut = 0; cut < 10; cut += 1) {
        const before = network.opened();
        await sleep(150);
        network.cut();
        await eventually(async () => (network.opened() > before ? true : undefined), 20);
      }
    })();
    for (let from = 0; from < sent.length; from += 65_536) {
      await session.write(sent.subarray(from, from + 65_536));
      if (network.opened() < 11) await sleep(20);
    }
    await cutting;
    session.endInput();
    expect(await session.exit).toEqual({ exitCode: 0, reason: 'exited' });
    expect([output.bytes(), output.digest()]).toEqual([
      sent.length + 1,
      createHash('sha256').update(Buffer.alloc(1)).update(sent).digest('hex'),
    ]);
    expect(network.opened()).toBeGreaterThan(10);
  }, 120_000);

  test('a slow reader does not block others', async () => {
    const { id } = await run(LINUX);
    const slow = await join(id, { command: ['cat'] });
    slow.onOutput(() => undefined);
    slow.pause();
    let written = 0;
    const flood = (async () => {
      for (;;) {
        await slow.write(Buffer.alloc(65_536));
        written += 65_536;
      }
    })().catch(() => undefined);
    const quick = await join(id, { command: ['cat'] });
    const output = collect(quick);
    for (let round = 1; round <= 5; round += 1) {
      await quick.write(Buffer.from(`${round};`));
      await output.until(new RegExp(`${round};$`));
    }
    await sleep(1_500);
    // The size of both windows and the program's buffer.
    expect(written).toBeLessThan(1024 * 1024);
    slow.close();
    await Promise.all([slow.exit, flood]);
    quick.close();
    expect(await quick.exit).toMatchObject({ exitCode: null, reason: 'closed' });
  }, 30_000);
});

const ended = async (act: (id: string, sessionId: string) => Promise<unknown>) => {
  const { id } = await run(LINUX);
  const { body } = await askSession(cloud, id, { command: ['cat'] });
  const session = await openSession(body, { webSocketFactory: nodeWebSocket });
  const since = performance.now();
  await act(id, body.sessionId);
  const exit = await session.exit;
  return { exit, seconds: (performance.now() - since) / 1000, token: body };
};

describe('a session ends within five seconds', () => {
  test('after the removal of its container', async () => {
    const { exit, seconds, token } = await ended((id) =>
      cloud.call('DELETE', `/v1/containers/${id}?force=true`),
    );
    expect(exit).toEqual({ exitCode: null, reason: 'container-stopped' });
    expect(seconds).toBeLessThan(5);
    const again = openSession(token, { webSocketFactory: nodeWebSocket });
    await expect(again).rejects.toMatchObject({ code: 'session-ended' });
  });

  test('after its revocation', async () => {
    const { exit, seconds } = await ended((id, sessionId) =>
      cloud.call('DELETE', `/v1/containers/${id}/sessions/${sessionId}`),
    );
    expect(exit).toMatchObject({ exitCode: null });
    expect(seconds).toBeLessThan(5);
  });
});

describe('refusals with their own error codes', () => {
  const refused = async (address: { url: string; token: string; sessionId: string }) => {
    const error = await openSession(address, { webSocketFactory: nodeWebSocket }).catch((one) => one);
    return error.code;
  };

  test('a used token, a token of another session and a forged token are refused', async () => {
    const { id } = await run(LINUX);
    const one = (await askSession(cloud, id, { command: ['cat'] })).body;
    const other = (await askSession(cloud, id, { command: ['cat'] })).body;
    expect(await refused({ ...one, token: other.token })).toBe('session-token-mismatch');
    expect(await refused({ ...one, token: `${one.token.slice(0, -4)}AAAA` })).toBe('session-token-invalid');
    const session = await openSession(one, { webSocketFactory: nodeWebSocket });
    expect(await refused(one)).toBe('session-token-used');
    session.close();
    await session.exit;
    expect(await refused(one)).toBe('session-ended');
  });

  test('a container of another tenant is not found, and one that is Off is refused by its state', async () => {
    const { id } = await run(LINUX);
    const { stdout } = await import('node:child_process').then(({ execFileSync }) => ({
      stdout: execFileSync(
        process.execPath,
        ['bin/token.ts', '--state-dir', cloud.stateDir, '--tenant', 'other'],
        {
          encoding: 'utf8',
        },
      ),
    }));
    const theirs = { token: stdout.trim(), body: {} };
    const others = await cloud.call('POST', `/v1/containers/${id}/sessions`, theirs);
    const none = await cloud.call('POST', '/v1/containers/nowhere/sessions', theirs);
    const withoutId = (text: string) => text.replace(/"requestId":"[^"]*"/, '');
    expect([others.status, others.body.code]).toEqual([404, 'not-found']);
    expect(withoutId(others.text)).toBe(withoutId(none.text));
    await cloud.call('POST', `/v1/containers/${id}/kill`);
    await eventually(async () => {
      const { body } = await cloud.call('GET', `/v1/containers/${id}`);
      return body.state === 'Off' ? true : undefined;
    });
    expect((await askSession(cloud, id)).body).toMatchObject({ code: 'invalid-state' });
  });
});

describe('exec, logs, isolation and events', () => {
  test('exec returns output and exit code, and kills a command after its time limit', async () => {
    const { name } = await run(LINUX);
    const exec = (body: object) => cloud.call('POST', `/v1/containers/${name}/exec`, { body });
    expect((await exec({ command: ['sh', '-c', 'echo hello; exit 4'] })).body).toEqual({
      exitCode: 4,
      stdout: 'hello\n',
      stderr: '',
      truncated: false,
      timedOut: false,
    });
    const late = await exec({ command: ['sleep', '100'], timeoutSeconds: 1 });
    expect(late.body).toMatchObject({ exitCode: 137, timedOut: true });
    expect((await exec({ command: ['nope'] })).body).toMatchObject({ code: 'program-not-found' });
  });

  test('logs are followed by their cursor without loss or repetition', async () => {
    const { id } = await run({
      image: 'mini',
      command: ['sh', '-c', 'echo one; sleep 1; echo two; sleep 100'],
    });
    const seen: string[] = [];
    let cursor = '';
    await eventually(async () => {
      const { body } = await cloud.call('GET', `/v1/containers/${id}/logs${cursor && `?cursor=${cursor}`}`);
      seen.push(...body.items.map((item: { text: string }) => item.text));
      cursor = body.nextCursor;
      return seen.length >= 2 ? true : undefined;
    });
    expect(seen).toEqual(['one', 'two']);
    const { body } = await cloud.call('GET', `/v1/containers/${id}/logs?tail=1`);
    expect(body.items).toMatchObject([{ text: 'two', stream: 'stdout' }]);
  });

  test.each(['Default', 'HyperV'])(
    'the isolation report of %s is labelled as simulated',
    async (runtimeType) => {
      const { id } = await run({ image: 'nanoserver', runtimeType });
      const { body } = await cloud.call('GET', `/v1/containers/${id}/isolation`);
      const shared = runtimeType === 'Default';
      expect(body).toMatchObject({ runtimeType, simulated: true, sharedKernel: shared });
      expect(body.visibleOnHost.length > 0).toBe(shared);
      expect(body.workerProcess === null).toBe(shared);
      expect(body.kernel.host === body.kernel.container).toBe(shared);
    },
  );

  test('events record the actor, the command and the duration of a session, but not its content', async () => {
    const { id } = await run(LINUX);
    const session = await join(id, { command: ['cat'] });
    await session.write(Buffer.from('a secret'));
    session.endInput();
    await session.exit;
    const own = await eventually(async () => {
      const all = await listEvents();
      const found = all.filter((event) => event.session?.containerId === id);
      return found.length === 2 ? found : undefined;
    });
    expect(own).toMatchObject([
      { type: 'Session Opened', actor: expect.any(String), session: { kind: 'session', command: ['cat'] } },
      { type: 'Session Ended', session: { exitCode: 0, reason: 'exited', seconds: expect.any(Number) } },
    ]);
    expect(JSON.stringify(await listEvents())).not.toContain('a secret');
  });
});

interface SeenEvent {
  readonly type: string;
  readonly session?: { readonly containerId: string };
}

/** The last page of events also has a cursor. */
const listEvents = async (): Promise<SeenEvent[]> => {
  const events: SeenEvent[] = [];
  for (let cursor = ''; ; ) {
    const { body } = await cloud.call('GET', `/v1/events?limit=200${cursor && `&cursor=${cursor}`}`);
    events.push(...body.items);
    if (body.items.length === 0) return events;
    cursor = body.nextCursor;
  }
};
