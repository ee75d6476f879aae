import { WebSocket } from 'ws';
import { MESSAGE_BYTES } from '../../core/contract/agent/messages.ts';
import { type Cancel, type Clock, nothingToCancel } from '../clock.ts';
import { sendInFrames } from './frames.ts';

/**
 * One WebSocket to the control plane, from connect to close.
 *
 * connecting → open → closed, or connecting → closed; `onClose` is called exactly once.
 * Pings detect a dead connection (a cut cable, a suspended machine): after `PING_AFTER_MS` without any data a ping is sent,
 * and without an answer the socket is destroyed.
 */
export interface Transport {
  /** Sends one message; no effect once the connection is closed. Only an answer confirms its arrival. */
  send(message: Buffer): void;
  /** Closes with a handshake, and waits at most a second for the answer. */
  close(): void;
}

export interface TransportHandlers {
  readonly onOpen: () => void;
  readonly onMessage: (text: string) => void;
  readonly onClose: (why: string) => void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const PING_AFTER_MS = 20_000;
const PONG_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** Close codes that are never sent: no code, or no close frame (RFC 6455, 7.4.1). */
const NO_STATUS = 1005;
const ABNORMAL = 1006;

export const openTransport = (
  url: string,
  token: string,
  clock: Clock,
  handlers: TransportHandlers,
): Transport => {
  const socket = new WebSocket(url, {
    headers: { authorization: `Bearer ${token}` },
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MESSAGE_BYTES,
    perMessageDeflate: false,
    followRedirects: false,
  });
  /** The first known reason. */
  let why: string | null = null;
  let closed = false;
  let cancelWatch: Cancel = nothingToCancel;
  let cancelClose: Cancel = nothingToCancel;

  const watch = (): void => {
    cancelWatch();
    cancelWatch = clock.after(PING_AFTER_MS, () => {
      socket.ping();
      cancelWatch = clock.after(PONG_TIMEOUT_MS, () => {
        why ??= 'the control plane did not answer a ping';
        socket.terminate();
      });
    });
  };

  socket.on('open', () => {
    watch();
    handlers.onOpen();
  });
  socket.on('message', (data, isBinary) => {
    watch();
    if (!isBinary) handlers.onMessage(data.toString());
  });
  socket.on('ping', watch);
  socket.on('pong', watch);
  socket.on('unexpected-response', (request, response) => {
    why ??= `the control plane answered ${response.statusCode}`;
    request.destroy();
    response.resume();
    socket.terminate();
  });
  socket.on('error', (error) => {
    why ??= error.message;
  });
  socket.on('close', (code) => {
    cancelWatch();
    cancelClose();
    if (closed) return;
    closed = true;
    const reason =
      code === NO_STATUS || code === ABNORMAL
        ? 'the connection was lost'
        : `the control plane closed the connection with ${code}`;
    handlers.onClose(why ?? reason);
  });

  return {
    send: (message) => {
      if (socket.readyState === WebSocket.OPEN) sendInFrames(socket, message);
    },
    close: () => {
      why ??= 'the agent closed the connection';
      socket.close(1000);
      if (!closed) cancelClose = clock.after(CLOSE_TIMEOUT_MS, () => socket.terminate());
    },
  };
};
