import { afterEach, describe, expect, test } from '@jest/globals';
import type { SessionStream } from '../../../../cli/session.ts';
import type { Call, Reply } from '../../client/fake-api.ts';
import { containerOf, ID, operationOf } from '../../client/records.ts';
import { bridge, closeBridges } from './fake-bridge.ts';

afterEach(closeBridges);

describe('a client without Upgrade headers', () => {
  const session = (text: string, exitCode: number) =>
    ({
      exit: Promise.resolve({ exitCode, reason: 'exited' }),
      onOutput: (listener: (stream: string, bytes: Uint8Array) => void) =>
        listener('stdout', Buffer.from(text)),
      ...{ resume: () => undefined, pause: () => undefined, close: () => undefined },
      ...{ write: async () => undefined, endInput: () => undefined, resize: () => undefined },
    }) as unknown as SessionStream;
  const running = (call: Call): Reply | undefined => {
    const token = { sessionId: ID, url: 'wss://x', token: 't', expiresAt: '2026-11-25T19:37:22.000Z' };
    if (call.url.endsWith('/sessions')) return { status: 201, body: token };
    return call.url.includes(ID) ? { status: 200, body: containerOf({ state: 'Running' }) } : undefined;
  };
  const exec = async (create: object, start: object, version = '1.47') => {
    const { ask } = await bridge(running, () => session('hi', 0));
    const body = { AttachStdout: true, Cmd: ['echo'], ...create };
    const { Id } = JSON.parse((await ask('POST', `/containers/${ID}/exec`, body)).body);
    return ask('POST', `/v${version}/exec/${Id}/start`, start);
  };
  const FRAMED = '\u0001\0\0\0\0\0\0\u0002hi';

  test('gets the output of exec after plain headers, until the connection ends', async () => {
    const { status, headers, body } = await exec({}, {});
    expect([status, headers.upgrade, headers['transfer-encoding'], body]).toEqual([
      200,
      undefined,
      undefined,
      FRAMED,
    ]);
  });

  test('gets the output of attach', async () => {
    const { ask } = await bridge(running, () => session('out', 0));
    const { status, body } = await ask('POST', `/containers/${ID}/attach?stream=1&stdout=1&logs=1`);
    expect([status, body]).toEqual([200, '\u0001\0\0\0\0\0\0\u0003out']);
  });

  test.each([
    [{ Tty: true }, { Tty: false }, '1.47', FRAMED, 'application/vnd.docker.multiplexed-stream'],
    [{ Tty: true }, {}, '1.47', FRAMED, 'application/vnd.docker.multiplexed-stream'],
    [{ Tty: true }, { Tty: true }, '1.47', 'hi', 'application/vnd.docker.raw-stream'],
    [{ Tty: false }, { Tty: true }, '1.47', 'hi', 'application/vnd.docker.raw-stream'],
    [{ Tty: false }, { Tty: false }, '1.41', FRAMED, 'application/vnd.docker.raw-stream'],
  ])(
    'exec of %j started with %j by version %s: the start decides about frames',
    async (create, start, version, text, type) => {
      const { body, headers } = await exec(create, start, version);
      expect([body, headers['content-type']]).toEqual([text, type]);
    },
  );

  test('gets only the streams that it requested', async () => {
    expect((await exec({ AttachStdout: false, AttachStderr: true }, {})).body).toBe('');
  });
});

test('run --rm: attach opens a session before the start, whose exit is answered after the removal, without polling', async () => {
  const off = containerOf({ state: 'Off', labels: { 'bulkhead.docker/auto-remove': 'true' } });
  const accepted = { status: 202, body: { container: off, operation: operationOf() } };
  const over = Promise.withResolvers<{ exitCode: number; reason: string }>();
  const session = {
    exit: over.promise,
    onOutput: (listener: (stream: string, bytes: Uint8Array) => void) =>
      listener('stdout', Buffer.from('hi\n')),
    ...{ resume: () => undefined, pause: () => undefined, close: () => undefined },
  };
  const { ask, calls, attach } = await bridge(
    ({ method, url }) => {
      if (url.endsWith('/sessions'))
        return { status: 201, body: { sessionId: ID, url: 'wss://x', token: 't', expiresAt: off.createdAt } };
      return method === 'GET' ? undefined : accepted;
    },
    () => session as unknown as SessionStream,
  );
  const body = { Image: 'mini', AttachStdout: true, HostConfig: { AutoRemove: true } };
  const { Id: id } = JSON.parse((await ask('POST', '/containers/create', body)).body);
  const output = attach(`/containers/${id}/attach?stream=1&stdout=1`);
  const waited = ask('POST', `/containers/${id}/wait?condition=removed`);
  expect((await ask('POST', `/containers/${id}/start`)).status).toBe(204);
  over.resolve({ exitCode: 9, reason: 'exited' });
  expect(JSON.parse((await waited).body)).toEqual({ StatusCode: 9 });
  expect(await output).toContain('hi\n');
  const done = calls.map(({ method, url }) => `${method} ${new URL(url).pathname.replace(ID, 'ID')}`);
  expect(done.filter((one) => !one.includes('/v1/hosts'))).toEqual([
    'POST /v1/containers',
    `GET /v1/operations/${operationOf().id}`,
    'POST /v1/containers/ID/sessions',
    'POST /v1/containers/ID/start',
    `GET /v1/operations/${operationOf().id}`,
    'DELETE /v1/containers/ID',
    `GET /v1/operations/${operationOf().id}`,
  ]);
  expect(calls.find(({ url }) => url.endsWith('/sessions'))?.body).toMatchObject({
    attach: true,
    awaitStart: true,
  });
});
