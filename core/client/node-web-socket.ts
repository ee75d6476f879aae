import { WebSocket } from 'ws';
import { refusalOf, type WebSocketFactory } from './session-socket.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 128 * 1024;

/** For Node: sends the token as `Authorization: Bearer`, and reports the status of a refused handshake. */
export const nodeWebSocket: WebSocketFactory = ({ url, token }, handlers) => {
  const socket = new WebSocket(url, {
    headers: { authorization: `Bearer ${token}` },
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    followRedirects: false,
  });
  let status = 0;
  let why: string | null = null;
  socket.on('open', () => handlers.onOpen());
  socket.on('message', (data, isBinary) => {
    if (!isBinary) handlers.onMessage(data.toString());
  });
  socket.on('unexpected-response', (request, response) => {
    status = response.statusCode ?? 0;
    why = `the handshake was refused with status ${status}`;
    response.resume();
    request.destroy();
    socket.terminate();
  });
  socket.on('error', (error) => {
    why ??= error.message;
  });
  socket.once('close', (code) => handlers.onClose(refusalOf(status), why ?? `closed with ${code}`));
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => socket.close(1000),
  };
};
