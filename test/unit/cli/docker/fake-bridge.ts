import { mkdtempSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listen } from '../../../../cli/docker/listen.ts';
import { createDockerBridge } from '../../../../cli/docker/server.ts';
import type { SessionStream } from '../../../../cli/session.ts';
import { Client } from '../../../../core/client/index.ts';
import { type Call, fakeApi, problem, type Reply } from '../../client/fake-api.ts';
import { operationOf } from '../../client/records.ts';

const closers: (() => void)[] = [];
/** Must be called after each test. */
export const closeBridges = (): void => {
  for (const close of closers.splice(0)) close();
};

export const UPGRADE = { connection: 'Upgrade', upgrade: 'tcp' };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export const page = (items: readonly unknown[]): Reply => ({
  status: 200,
  body: { items, nextCursor: null },
});

/** A bridge on its own socket, in front of an API. `change` can replace a response of the API. */
export const bridge = async (
  change: (call: Call) => Reply | undefined = () => undefined,
  connect?: () => SessionStream,
  over: 'unix' | 'tcp' = 'unix',
) => {
  const { fetch, calls } = fakeApi((call) => {
    const own = change(call);
    if (own !== undefined) return own;
    const { pathname } = new URL(call.url);
    if (pathname === '/v1/hosts' || pathname === '/v1/containers') return page([]);
    if (pathname.startsWith('/v1/operations/'))
      return { status: 200, body: operationOf({ state: 'Succeeded' }) };
    return problem(404, 'not-found');
  });
  const log: string[] = [];
  const { server, close } = createDockerBridge({
    client: new Client({ apiUrl: 'https://api.example.com', fetch, sleep: async () => undefined }),
    connect: connect ?? (() => Promise.reject(new TypeError('no sessions here'))),
    now: Date.now,
    newId: () => 'e'.repeat(64),
    version: '0.1.0',
    log: (line) => log.push(line),
  });
  const socketPath = join(mkdtempSync(join(tmpdir(), 'bulkhead-')), 'docker.sock');
  const address = await listen(
    server,
    over === 'tcp' ? { kind: 'tcp', host: '127.0.0.1', port: 0 } : { kind: 'unix', path: socketPath },
  );
  closers.push(close);
  const place = over === 'tcp' ? { host: '127.0.0.1', port: new URL(address).port } : { socketPath };
  const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const asked = request(
        { ...place, method, path, headers: { host: 'docker', ...headers } },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => {
            text += chunk.toString();
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          );
        },
      );
      asked.on('error', reject);
      asked.end(body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    });
  /** Sends an upgrade request. @returns all bytes of the connection until its end */
  const attach = (path: string) =>
    new Promise<string>((resolve, reject) => {
      const asked = request({ ...place, method: 'POST', path, headers: { host: 'docker', ...UPGRADE } });
      asked.on('error', reject);
      asked.on('upgrade', (_, socket, head) => {
        let text = head.toString();
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        socket.on('end', () => {
          socket.end();
          resolve(text);
        });
      });
      asked.end();
    });
  return { ask, attach, calls, log, socketPath };
};

export const message = ({ body }: Answer): string => JSON.parse(body).message;
