import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** The reason why a client is refused. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
}

/** Answers a handshake with a plain HTTP response and closes the socket. */
export const refuse = (raw: Duplex, { status, message }: Refusal): void => {
  const body = JSON.stringify({ message });
  raw.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
};
