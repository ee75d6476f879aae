import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The whole local cloud as a user runs it: a separate process group with its own port and state directory. `kill` is
 * `kill -9` of all its processes.
 */
export interface LocalCloud {
  readonly apiUrl: string;
  readonly webSocketUrl: string;
  readonly token: string;
  readonly endpoints: Readonly<
    Record<'dynamodb' | 'states' | 'events' | 'lambda' | 'sqs' | 'secrets', string>
  >;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly region: string;
  readonly stateDir: string;
  readonly pid: number;
  readonly output: () => string;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  kill(): Promise<void>;
  stop(): Promise<number | null>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly body: any;
}

export interface LocalCloudOptions {
  readonly stateDir?: string;
  readonly port?: number;
  readonly simulate?: number;
  readonly arguments?: readonly string[];
  readonly environment?: Record<string, string>;
  readonly timeoutSeconds?: number;
}

const ROOT = resolve(import.meta.dirname, '../..');

export const temporaryStateDirectory = (): string => mkdtempSync(join(tmpdir(), 'bulkhead-test-'));

const request = async (
  apiUrl: string,
  defaultToken: string,
  method: string,
  path: string,
  options: CallOptions,
): Promise<Answer> => {
  const token = options.token === undefined ? defaultToken : options.token;
  const response = await fetch(`${apiUrl}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined
      ? {}
      : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: json ? JSON.parse(text) : undefined,
  };
};

const exited = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((done) => child.once('exit', (code) => done(code)));

const killGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

/** Starts it and waits for its ready line. Throws with its output if it exits first. */
export const startLocalCloud = async (options: LocalCloudOptions = {}): Promise<LocalCloud> => {
  const stateDir = options.stateDir ?? temporaryStateDirectory();
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'bin/local.ts'),
      '--state-dir',
      stateDir,
      '--port',
      String(options.port ?? 0),
      ...(options.simulate === undefined ? [] : ['--host', 'none', '--simulate', String(options.simulate)]),
      ...(options.arguments ?? []),
    ],
    {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '', ...options.environment },
    },
  );
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-100_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);

  const deadline = Date.now() + (options.timeoutSeconds ?? 90) * 1000;
  const localFile = join(stateDir, 'local.json');
  const read = (): Record<string, never> | undefined => {
    try {
      const local = JSON.parse(readFileSync(localFile, 'utf8'));
      return local.pid === child.pid ? local : undefined;
    } catch {
      return undefined;
    }
  };
  let local = read();
  while (local === undefined) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      killGroup(child.pid ?? 0, 'SIGKILL');
      throw new Error(`the local cloud did not start:\n${output}`);
    }
    await sleep(25);
    local = read();
  }
  const { apiUrl, webSocketUrl, token, endpoints, credentials, region } = local as unknown as LocalCloud;
  const pid = child.pid ?? 0;
  return {
    apiUrl,
    webSocketUrl,
    token,
    endpoints,
    credentials,
    region,
    stateDir,
    pid,
    output: () => output,
    call: (method, path, callOptions = {}) => request(apiUrl, token, method, path, callOptions),
    async kill() {
      killGroup(pid, 'SIGKILL');
      await exited(child);
    },
    async stop() {
      child.kill('SIGINT');
      const code = await Promise.race([exited(child), sleep(15_000, 'late' as const, { ref: false })]);
      killGroup(pid, 'SIGKILL');
      if (options.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
      if (code === 'late') throw new Error(`the local cloud did not stop on SIGINT:\n${output}`);
      return code;
    },
  };
};

/** Waits for the end of an operation through the API. Throws if it has not ended after `seconds`. */
export const waitForOperation = async (cloud: LocalCloud, id: string, seconds = 60) => {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const { body } = await cloud.call('GET', `/v1/operations/${id}?waitSeconds=10`);
    if (['Succeeded', 'Failed', 'Cancelled'].includes(body.state)) return body;
  }
  throw new Error(`operation ${id} has not ended in ${seconds} s`);
};

/**
 * All items of a list, page by page. Every page of the list of events has a cursor, so that list ends at an empty page.
 */
export const listAll = async (cloud: LocalCloud, path: string) => {
  // biome-ignore lint/suspicious/noExplicitAny: items of many shapes
  const items: any[] = [];
  let cursor: string | null = null;
  do {
    const separator = path.includes('?') ? '&' : '?';
    const { status, body, text } = await cloud.call(
      'GET',
      `${path}${separator}limit=200${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    items.push(...body.items);
    const isEndOfEvents = path.startsWith('/v1/events') && body.items.length === 0;
    cursor = isEndOfEvents ? null : body.nextCursor;
  } while (cursor !== null);
  return items;
};

/** Waits until that many hosts are ready. */
export const waitForHosts = (cloud: LocalCloud, wanted: number): Promise<true> =>
  eventually(async () => {
    const { body } = await cloud.call('GET', '/v1/hosts?limit=200');
    const ready = body.items.filter((host: { state: string }) => host.state === 'Ready');
    return ready.length >= wanted ? true : undefined;
  }, 60);

/** Polls until `probe` returns a value, for at most `seconds`. */
export const eventually = async <T>(probe: () => Promise<T | undefined>, seconds = 30): Promise<T> => {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s`);
    await sleep(100);
  }
};
