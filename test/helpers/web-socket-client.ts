import { once } from 'node:events';
import { WebSocket } from 'ws';

/** A refused handshake, with the server's response. */
export class RefusedHandshake extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.body = body;
  }
}

/** A real WebSocket client that queues received messages. */
export class TestClient {
  readonly socket: WebSocket;
  readonly #messages: string[] = [];
  readonly #waiting: ((message: string) => void)[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#messages.push(data.toString());
      else waiting(data.toString());
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) =>
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );
  }

  /** @throws RefusedHandshake */
  static async connect(
    url: string,
    headers: Record<string, string> = {},
    protocols: string[] = [],
  ): Promise<TestClient> {
    const client = new TestClient(new WebSocket(url, protocols, { headers }));
    const refused = new Promise<never>((_, reject) => {
      client.socket.once('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.once('end', () => reject(new RefusedHandshake(response.statusCode ?? 0, body)));
      });
    });
    refused.catch(() => undefined);
    await Promise.race([once(client.socket, 'open'), refused]);
    return client;
  }

  next(): Promise<string> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
