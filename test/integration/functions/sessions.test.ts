import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { HANDSHAKE_REFUSALS, SESSION_SUBPROTOCOL } from '../../../core/contract/session.ts';
import { eventOf } from '../../../functions/process-changes/event-of.ts';
import { createSessionSeal } from '../../../functions/shared/secrets/session-seal.ts';
import { toAttribute } from '../../../store/item.ts';
import { keys } from '../../../store/keys.ts';
import { getSession } from '../../../store/sessions.ts';
import { keyItem } from '../../../store/table.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { TENANT, testId } from '../../helpers/records.ts';
import { CONTAINER, HOST, openSessionWorld } from '../../helpers/session-world.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
const setUp = async () => openSessionWorld(await engine.table());
type World = Awaited<ReturnType<typeof setUp>>;

const statusOf = (code: string) =>
  Number(Object.entries(HANDSHAKE_REFUSALS).find(([, one]) => one === code)?.[0]);
const params = { idOrName: CONTAINER };
const ACK = { kind: 'ack', ack: 0, limit: 10 };
const INPUT = {
  ...{ kind: 'frame', sequence: 1, ack: 0, limit: 0 },
  frame: { type: 'input', data: Buffer.from('id\n').toString('base64') },
};
const exit = (exitCode: number | null, reason = 'exited') => ({
  kind: 'frame',
  sequence: 1,
  ack: 0,
  limit: 0,
  frame: { type: 'exit', exitCode, reason },
});

describe('a token', () => {
  test('is valid once; the table has only its hash, and the URL does not contain it', async () => {
    const world = await setUp();
    const { sessionId, token, url } = await world.open({ command: ['sh'] });
    expect(url).toBe(`wss://agents.example/prod?session=${sessionId}`);
    expect(await world.connect(token, sessionId)).toMatchObject({ statusCode: 200 });
    const item = await world.table.get(keys.session(TENANT, sessionId));
    expect(JSON.stringify(item)).not.toContain(token.split('.').at(-1));
    expect(await world.connect(token, sessionId)).toMatchObject({
      statusCode: statusOf('session-token-used'),
      context: { refusal: 'session-token-used' },
    });
  });

  test('that two clients use at the same time gives one of them the session', async () => {
    const world = await setUp();
    const { sessionId, token } = await world.open();
    const { context } = await world.authorize(token, sessionId);
    const answers = await Promise.all(['a', 'b', 'c'].map((id) => world.connection('$connect', id, context)));
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([200, 409, 409]);
  });

  test('expires after 30 seconds', async () => {
    const world = await setUp();
    const { sessionId, token, expiresAt } = await world.open();
    expect(Date.parse(expiresAt) - world.api.clock.ms).toBeLessThanOrEqual(30_000);
    world.api.clock.ms += 31_000;
    expect(await world.connect(token, sessionId)).toMatchObject({
      statusCode: statusOf('session-token-expired'),
    });
  });

  test('is valid for one session only, and cannot be guessed', async () => {
    const world = await setUp();
    const [one, other] = [await world.open(), await world.open()];
    expect(await world.connect(other.token, one.sessionId)).toMatchObject({
      statusCode: statusOf('session-token-mismatch'),
    });
    const forged = [
      `${one.token.slice(0, -5)}AAAAA`,
      one.token.replace(one.sessionId, other.sessionId),
      one.token.replace(/^bhs_[^.]+/, `bhs_${Buffer.from('umbrella').toString('base64url')}`),
      'bhs_',
      'bhs_YWNtZQ.x.y',
    ];
    for (const token of forged)
      await expect(world.authorize(token, one.sessionId)).rejects.toThrow('Unauthorized');
  });

  test.each(['tokenHash', 'resumeHashes'])(
    'is invalid without a valid seal, even if an attacker wrote its hash into the table as %s',
    async (attribute) => {
      const world = await setUp();
      const { sessionId, token } = await world.open();
      const [owner, session] = token.split('.');
      const forger = createSessionSeal({
        readSecret: async () => ({ value: 'a guess', createdAtMs: 0 }),
        now: () => new Date(),
        monotonic: () => 0,
      });
      const unsealed = `${owner}.${session}.${'x'.repeat(43)}`;
      for (const forged of [unsealed, `${unsealed}.${await forger.seal(unsealed)}`]) {
        const hash = createHash('sha256').update(forged).digest('hex');
        await world.table.update({
          Key: keyItem(keys.session(TENANT, sessionId)),
          UpdateExpression: 'SET #hash = :hash REMOVE tokenUsed',
          ExpressionAttributeNames: { '#hash': attribute },
          ExpressionAttributeValues: {
            ':hash': toAttribute(attribute === 'tokenHash' ? hash : [hash]),
          },
        });
        await expect(world.authorize(forged, sessionId)).rejects.toThrow('Unauthorized');
      }
    },
  );

  test('of an ended session is refused with that reason, including one for resuming', async () => {
    const world = await setUp();
    const { sessionId, token } = await world.open();
    await world.fromHost(sessionId, { kind: 'ended', reason: 'container-stopped' });
    expect(await world.connect(token, sessionId)).toMatchObject({ statusCode: statusOf('session-ended') });
  });

  test('can be sent as a subprotocol, which is returned', async () => {
    const world = await setUp();
    const { sessionId, token } = await world.open();
    const offered = { authorization: '', 'Sec-WebSocket-Protocol': `${SESSION_SUBPROTOCOL}, ${token}` };
    const { context } = await world.authorize('', sessionId, offered);
    expect(await world.connection('$connect', 'client-1', context, { headers: offered })).toEqual({
      statusCode: 200,
      headers: { 'Sec-WebSocket-Protocol': SESSION_SUBPROTOCOL },
    });
  });

  test('for resuming is valid until its successor was used, whichever connection breaks', async () => {
    const world = await setUp();
    const { sessionId, token } = await world.open();
    await world.connect(token, sessionId, 'client-1');
    const renew = async (connectionId: string): Promise<string> => {
      await world.fromClient(sessionId, { kind: 'renew' }, connectionId);
      return String(world.pushed.at(-1)?.message.token);
    };
    const first = await renew('client-1');
    expect(await world.connect(first, sessionId, 'client-2')).toMatchObject({ statusCode: 200 });
    expect(world.closed).toEqual(['client-1']);
    expect(await world.connect(first, sessionId, 'client-3')).toMatchObject({ statusCode: 200 });
    const second = await renew('client-3');
    expect(await world.connect(second, sessionId, 'client-4')).toMatchObject({ statusCode: 200 });
    await expect(world.connect(first, sessionId, 'client-5')).rejects.toThrow('Unauthorized');
    const before = world.pushed.length;
    await world.fromClient(sessionId, { kind: 'renew' }, 'client-3');
    expect(world.pushed.length).toBe(before);
  });
});

describe('frames', () => {
  const joined = async (): Promise<World & { sessionId: string }> => {
    const world = await setUp();
    const { sessionId, token } = await world.open();
    await world.connect(token, sessionId);
    return { ...world, sessionId };
  };

  test('are forwarded with one push, and without a read while the connections are unchanged', async () => {
    const world = await joined();
    const { sessionId } = world;
    await world.fromClient(sessionId, ACK);
    await world.fromHost(sessionId, ACK);
    world.consumed.reset();
    for (let round = 0; round < 10; round += 1) {
      await world.fromClient(sessionId, ACK);
      await world.fromHost(sessionId, ACK);
    }
    expect(world.consumed.calls()).toEqual([]);
    expect(world.pushed.slice(-2)).toEqual([
      { to: 'host-1', message: { action: 'session', sessionId, ...ACK } },
      { to: 'client-1', message: { action: 'session', sessionId, ...ACK } },
    ]);
    expect(world.pushed).toHaveLength(22);
  });

  test('find a changed connection of either side', async () => {
    const world = await joined();
    const { sessionId } = world;
    await world.fromClient(sessionId, ACK);
    await world.fromHost(sessionId, ACK);
    await world.fromClient(sessionId, { kind: 'renew' });
    const token = String(world.pushed.at(-1)?.message.token);
    await world.connect(token, sessionId, 'client-2');
    await world.link('host-2');
    for (const gone of ['client-1', 'host-1']) world.world.gone.add(gone);
    await world.fromClient(sessionId, ACK, 'client-2');
    expect(world.pushed.at(-1)?.to).toBe('host-2');
    await world.fromHost(sessionId, ACK);
    expect(world.pushed.at(-1)?.to).toBe('client-2');
  });

  test('of a replaced connection are not forwarded', async () => {
    const world = await joined();
    const { sessionId } = world;
    await world.fromClient(sessionId, INPUT);
    await world.fromClient(sessionId, { kind: 'renew' });
    await world.connect(String(world.pushed.at(-1)?.message.token), sessionId, 'client-2');
    world.pushed.length = 0;
    await world.fromClient(sessionId, INPUT, 'client-2');
    expect(world.pushed.map(({ to }) => to)).toEqual(['host-1']);
    await world.fromClient(sessionId, INPUT, 'client-1');
    await world.fromClient(sessionId, ACK, 'client-1');
    expect(world.pushed).toHaveLength(1);
  });

  test('of a revoked session: input is dropped, acknowledgements are forwarded', async () => {
    const world = await joined();
    const { sessionId } = world;
    await world.fromClient(sessionId, INPUT);
    await world.api.call('revokeSession', { params: { idOrName: CONTAINER, sessionId } });
    world.api.clock.ms += 10_000;
    world.pushed.length = 0;
    await world.fromClient(sessionId, INPUT);
    expect(world.pushed).toEqual([]);
    await world.fromClient(sessionId, ACK);
    expect(world.pushed.map(({ to, message }) => [to, message.kind])).toEqual([['host-1', 'ack']]);
  });

  test('of another host or session, or with invalid content, are dropped', async () => {
    const world = await joined();
    const { sessionId } = world;
    const before = world.pushed.length;
    expect(await world.fromHost(sessionId, ACK, testId(901))).toEqual({ statusCode: 200 });
    expect(await world.fromHost(sessionId, exit(0), testId(901))).toEqual({ statusCode: 200 });
    expect(await world.fromHost(testId(99), ACK)).toEqual({ statusCode: 200 });
    const foreign = { ...ACK, sessionId: testId(98) };
    expect(await world.fromClient(sessionId, foreign)).toEqual({ statusCode: 403 });
    expect(await world.fromClient(sessionId, { kind: 'detached' })).toEqual({ statusCode: 403 });
    expect(await world.fromClient(sessionId, { kind: 'nonsense' })).toEqual({ statusCode: 403 });
    expect(world.pushed.length).toBe(before);
    expect((await getSession(world.table, TENANT, sessionId))?.view.state).toBe('Open');
  });

  test.each(['{"action":"heartbeat","inProgress":[]}', '{"action":"x"}', 'no JSON'])(
    'a client that sends %s on the route of hosts is disconnected and cannot come back',
    async (body) => {
      const world = await joined();
      const { sessionId } = world;
      await world.fromClient(sessionId, { kind: 'renew' });
      const resume = String(world.pushed.at(-1)?.message.token);
      world.pushed.length = 0;
      expect(await world.toHostsRoute(sessionId, body)).toEqual({ statusCode: 403 });
      expect(world.closed).toEqual(['client-1']);
      expect(world.pushed).toEqual([
        { to: 'host-1', message: { action: 'session', sessionId, kind: 'detached' } },
      ]);
      await expect(world.authorize(resume, sessionId)).rejects.toThrow('Unauthorized');
      await world.fromClient(sessionId, { kind: 'renew' });
      await world.toHostsRoute(sessionId, body);
      expect(world.pushed).toHaveLength(1);
    },
  );

  test('the host is notified of a disconnected client, but not of one that has reconnected', async () => {
    const world = await joined();
    const { sessionId } = world;
    const context = { tenant: TENANT, sessionId, tokenHash: 'x' };
    await world.connection('$disconnect', 'client-0', context);
    expect(world.pushed).toEqual([]);
    await world.connection('$disconnect', 'client-1', context);
    expect(world.pushed).toEqual([
      { to: 'host-1', message: { action: 'session', sessionId, kind: 'detached' } },
    ]);
  });

  test('an exit is recorded once, with the duration, before it is forwarded', async () => {
    const world = await joined();
    const { sessionId } = world;
    const before = await world.table.get(keys.session(TENANT, sessionId));
    world.api.clock.ms += 5_000;
    await world.fromHost(sessionId, exit(3));
    world.api.clock.ms += 5_000;
    await world.fromHost(sessionId, exit(9));
    const after = await world.table.get(keys.session(TENANT, sessionId));
    const change = { sequenceNumber: '1', at: world.api.clock.ms };
    expect(eventOf({ ...change, before, after })?.event).toMatchObject({
      type: 'Session Ended',
      actor: 'ann',
      resource: { kind: 'session', id: sessionId },
      session: { containerId: CONTAINER, exitCode: 3, reason: 'exited', seconds: expect.closeTo(5, 1) },
    });
    expect(eventOf({ ...change, before: after, after: undefined })).toBeUndefined();
    expect(eventOf({ ...change, before, after: undefined })?.event).toMatchObject({ type: 'Session Ended' });
    expect(world.pushed.filter(({ to }) => to === 'client-1')).toHaveLength(2);
  });
});

describe('a new session', () => {
  test('that the host refuses is refused with the host’s reason, and is in the audit', async () => {
    const world = await setUp();
    world.world.reply = 'refuses';
    const answer = await world.api.call('openSession', { params, body: { command: ['nope'] } });
    expect([answer.status, answer.body.code, answer.body.detail]).toEqual([
      500,
      'step-failed',
      'no such program',
    ]);
    const [command] = world.api.outside.pushed;
    const { sessionId } = (command?.command.arguments ?? {}) as { sessionId: string };
    expect((await getSession(world.table, TENANT, sessionId))?.view).toMatchObject({
      state: 'Ended',
      reason: 'step-failed',
    });
  });

  test.each([
    [{ user: 'ann', runAsAdministrator: true }, '/body/runAsAdministrator'],
    [{ attach: true, command: ['sh'] }, '/body/command'],
    [{ logs: true }, '/body/logs'],
    [{ cursor: 'a.1' }, '/body/cursor'],
    [{ paced: true }, '/body/paced'],
    [{ attach: true, logs: true, cursor: 'a.1' }, '/body/cursor'],
    [{ awaitStart: true }, '/body/awaitStart'],
    [{ attach: true, awaitStart: true, cursor: 'a.1' }, '/body/cursor'],
  ])('%j contradicts itself', async (body, pointer) => {
    const world = await setUp();
    const answer = await world.api.call('openSession', { params, body });
    expect([answer.status, answer.body.code]).toEqual([400, 'validation-failed']);
    expect(pointer.endsWith(answer.body.errors[0].pointer.split('/').at(-1))).toBe(true);
  });

  test('in a stopped container is refused, except one that awaits its start', async () => {
    const world = await setUp();
    await world.setState('Off');
    const open = (body: object) => world.api.call('openSession', { params, body });
    expect((await open({ attach: true })).body.code).toBe('invalid-state');
    const { status } = await open({ attach: true, awaitStart: true });
    expect([status, world.api.outside.pushed.at(-1)?.command]).toEqual([
      201,
      expect.objectContaining({
        hostId: HOST,
        arguments: expect.objectContaining({ verb: 'openSession', awaitStart: true }),
      }),
    ]);
    await world.setState('Removing');
    expect((await open({ attach: true, awaitStart: true })).body.code).toBe('invalid-state');
  });

  test('is returned again to a repeat with its key', async () => {
    const world = await setUp();
    const call = () =>
      world.api.call('openSession', { params, body: {}, headers: { 'idempotency-key': 'k-1' } });
    const [first, second] = [await call(), await call()];
    expect(second.text).toBe(first.text);
    expect(world.api.outside.pushed).toHaveLength(1);
  });

  test('is not created by a dry run', async () => {
    const world = await setUp();
    for (const operation of ['openSession', 'execInContainer']) {
      const answer = await world.api.call(operation, {
        params,
        body: { command: ['sh'] },
        query: 'dryRun=true',
      });
      expect([answer.status, answer.body.dryRun]).toEqual([200, true]);
    }
    expect(world.api.outside.pushed).toEqual([]);
  });

  test('that is revoked is recorded with the actor; the host is notified and the client disconnected, once', async () => {
    const world = await setUp();
    const { sessionId, token } = await world.open();
    await world.connect(token, sessionId);
    const revoke = (id = sessionId) =>
      world.api.call('revokeSession', { params: { ...params, sessionId: id }, claims: { sub: 'eve' } });
    expect((await revoke()).status).toBe(204);
    expect(world.api.outside.pushed.at(-1)?.command.arguments).toMatchObject({
      verb: 'closeSession',
      sessionId,
    });
    expect(world.api.outside.closed).toEqual(['client-1']);
    expect(await getSession(world.table, TENANT, sessionId)).toMatchObject({
      actor: 'eve',
      view: { state: 'Ended', reason: 'revoked' },
    });
    expect((await revoke()).status).toBe(204);
    expect((await revoke(testId(99))).status).toBe(404);
    await expect(world.connect(token, sessionId)).resolves.toMatchObject({ statusCode: 404 });
  });
});

describe('exec', () => {
  const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
  const run = (world: World, body: object = { command: ['ls'] }) =>
    world.api.call('execInContainer', { params, body });
  const session = async (world: World) => {
    const events = world.api.outside.pushed.at(-1)?.command.arguments;
    return events;
  };

  test('returns output as text, with U+FFFD for invalid bytes, and reports truncation', async () => {
    const world = await setUp();
    const outcome = {
      exitCode: 2,
      stderr: base64(Buffer.from([0xff, 0x41])),
      truncated: true,
      timedOut: false,
    };
    world.world.reply = { exec: { ...outcome, stdout: base64('hé') } };
    const answer = await run(world, { command: ['ls'], timeoutSeconds: 7 });
    expect([answer.status, answer.body]).toEqual([
      200,
      { exitCode: 2, stdout: 'hé', stderr: '\uFFFDA', truncated: true, timedOut: false },
    ]);
    expect(await session(world)).toMatchObject({ verb: 'exec', command: ['ls'], timeoutSeconds: 7 });
  });

  test('of a host that does not answer times out after the command’s own limit', async () => {
    const world = await setUp();
    world.world.reply = 'nothing';
    const began = world.api.clock.ms;
    const answer = await run(world, { command: ['ls'], timeoutSeconds: 3 });
    expect([answer.status, answer.body.code]).toEqual([504, 'host-not-answering']);
    expect((world.api.clock.ms - began) / 1000).toBeCloseTo(5, 0);
  });
});

describe('logs', () => {
  const logs = (world: World, query = '') => world.api.call('getContainerLogs', { params, query });

  test('are a page of the host’s log; tail and cursor cannot be combined', async () => {
    const world = await setUp();
    const page = { items: [], truncated: true, more: false, nextCursor: 'abc.7' };
    world.world.reply = { log: page };
    const answer = await logs(world, 'cursor=abc.5&since=2026-01-01T00:00:00Z');
    expect([answer.status, answer.body]).toEqual([200, page]);
    expect(world.api.outside.pushed[0]?.command).toMatchObject({
      hostId: HOST,
      arguments: { verb: 'readLog', cursor: 'abc.5', since: '2026-01-01T00:00:00Z' },
    });
    expect((await logs(world, 'tail=1&cursor=a.1')).body.code).toBe('validation-failed');
    expect((await logs(world, 'tail=10001')).body.code).toBe('validation-failed');
  });
});

describe('a verification of isolation', () => {
  const verification = {
    runtimeType: 'HyperV' as const,
    verifiedAt: '2026-01-01T00:00:00.000Z',
    asExpected: false,
    probes: [{ name: 'mounts', tried: 'Mount', outcome: 'reached' as const, expected: false, detail: '' }],
  };
  const verify = (world: World, query = '') => world.api.call('verifyContainerIsolation', { params, query });

  test('returns the host’s result, which is requested once', async () => {
    const world = await setUp();
    world.world.reply = { verification };
    const answer = await verify(world);
    expect([answer.status, answer.body]).toEqual([200, verification]);
    expect(world.api.outside.pushed.map(({ command }) => command.arguments)).toEqual([
      { verb: 'verifyIsolation' },
    ]);
  });

  test('is in the audit as a command in the container, with its outcome', async () => {
    const world = await setUp();
    world.world.reply = { verification };
    const made = jest.spyOn(world.table, 'put');
    await verify(world);
    const items = made.mock.calls.map(([{ Item }]) => Item).filter((item) => item?.entity?.S === 'session');
    expect(items).toHaveLength(1);
    const { pk } = items[0] ?? {};
    const id = pk?.S?.split('#').at(-1) ?? '';
    expect((await getSession(world.table, TENANT, id))?.view).toMatchObject({
      kind: 'exec',
      command: ['bulkhead', 'verify-isolation'],
      state: 'Ended',
      exitCode: 1,
    });
  });

  test('of a host that does not know it is an error', async () => {
    const world = await setUp();
    world.world.reply = {};
    expect((await verify(world)).body).toMatchObject({ code: 'host-not-answering' });
  });

  test('is not sent to the host in a dry run', async () => {
    const world = await setUp();
    expect((await verify(world, 'dryRun=true')).body).toMatchObject({ dryRun: true });
    expect(world.api.outside.pushed).toEqual([]);
  });
});
