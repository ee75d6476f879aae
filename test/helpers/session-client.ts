import { createHash } from 'node:crypto';
import { nodeWebSocket } from '../../core/client/node-web-socket.ts';
import { openSession, type SessionStream } from '../../core/client/session-connection.ts';
import type { WebSocketFactory } from '../../core/client/session-socket.ts';
import type { SessionRequest, SessionToken } from '../../core/contract/session.ts';
import type { LocalCloud } from './local-cloud.ts';

/** WebSocket connections of a client that a test can cut without a closing handshake. */
export const cuttable = () => {
  let cut: () => void = () => undefined;
  let opened = 0;
  const webSocketFactory: WebSocketFactory = (address, handlers) => {
    let closed = false;
    const socket = nodeWebSocket(address, {
      ...handlers,
      onOpen: () => {
        opened += 1;
        handlers.onOpen();
      },
      onMessage: (text) => {
        if (!closed) handlers.onMessage(text);
      },
      onClose: (refusal, why) => {
        if (!closed) handlers.onClose(refusal, why);
      },
    });
    cut = () => {
      if (closed) return;
      closed = true;
      socket.close();
      handlers.onClose(null, 'cut by the test');
    };
    return { send: (text) => (closed ? undefined : socket.send(text)), close: () => socket.close() };
  };
  return { webSocketFactory, cut: () => cut(), opened: () => opened };
};
export type Cuttable = ReturnType<typeof cuttable>;

/** Requests a session. @returns the status and body of the response */
export const askSession = async (
  cloud: LocalCloud,
  idOrName: string,
  body: SessionRequest = {},
): Promise<{ status: number; body: SessionToken }> =>
  cloud.call('POST', `/v1/containers/${idOrName}/sessions`, { body });

/** Creates a session and connects to it. */
export const joinSession = async (
  cloud: LocalCloud,
  idOrName: string,
  body: SessionRequest = {},
  webSocketFactory: WebSocketFactory = nodeWebSocket,
): Promise<SessionStream> => {
  const { status, body: token } = await askSession(cloud, idOrName, body);
  if (status !== 201) throw new RangeError(`no session: ${status} ${JSON.stringify(token)}`);
  return openSession(token, { webSocketFactory });
};

/** Collects the output of a session. */
export const collect = (session: SessionStream) => {
  const hash = createHash('sha256');
  const kept = { stdout: '', stderr: '' };
  let bytes = 0;
  let waiting: { wanted: () => boolean; resolve: () => void }[] = [];
  session.onOutput((stream, data) => {
    bytes += data.length;
    if (stream === 'stdout') hash.update(data);
    if (kept[stream].length < 200_000) kept[stream] += Buffer.from(data).toString('utf8');
    waiting = waiting.filter(({ wanted, resolve }) => !wanted() || resolve());
  });
  return {
    text: (stream: 'stdout' | 'stderr' = 'stdout') => kept[stream],
    bytes: () => bytes,
    /** SHA-256 of stdout. Must be called only once. */
    digest: () => hash.digest('hex'),
    until: (pattern: RegExp) =>
      new Promise<void>((resolve) => {
        const wanted = () => pattern.test(kept.stdout);
        if (wanted()) resolve();
        else waiting.push({ wanted, resolve });
      }),
  };
};
