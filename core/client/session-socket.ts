import { HANDSHAKE_REFUSALS, type HandshakeRefusal, SESSION_SUBPROTOCOL } from '../contract/session.ts';

export interface SessionSocket {
  /** One message of at most 32 KB. */
  send(text: string): void;
  close(): void;
}

export interface SessionSocketHandlers {
  readonly onOpen: () => void;
  readonly onMessage: (text: string) => void;
  /** Called once, even if it never opened. @param refusal why the handshake was refused, if known */
  readonly onClose: (refusal: HandshakeRefusal | null, why: string) => void;
}

/** Connects to `url`; the token goes into a header, never into the URL. */
export type WebSocketFactory = (
  address: { readonly url: string; readonly token: string },
  handlers: SessionSocketHandlers,
) => SessionSocket;

export const refusalOf = (status: number): HandshakeRefusal | null =>
  (HANDSHAKE_REFUSALS as Readonly<Record<number, HandshakeRefusal>>)[status] ?? null;

/** Uses the platform's WebSocket, which sends the token as a subprotocol and does not expose the status of a refusal. */
export const platformWebSocket: WebSocketFactory = ({ url, token }, handlers) => {
  const socket = new WebSocket(url, [SESSION_SUBPROTOCOL, token]);
  socket.addEventListener('open', () => handlers.onOpen());
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') handlers.onMessage(data);
  });
  socket.addEventListener('close', ({ code }) => handlers.onClose(null, `closed with ${code}`), {
    once: true,
  });
  return { send: (text) => socket.send(text), close: () => socket.close(1000) };
};
