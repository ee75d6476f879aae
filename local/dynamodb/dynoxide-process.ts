/**
 * The dynoxide process with the tables of one state directory.
 *
 * Lifecycle: leftover of an earlier run ended → spawned → ready → (exits unexpectedly → spawned again on the same
 * port) … → stopped. Traps:
 * - If this process is killed, its child survives. `setpriv --pdeathsig` makes the kernel end the child. Without it,
 *   `dynoxide.json` names the child, and the next start ends it. Id, start time and program must all match, so that a
 *   process that reuses the id is never killed.
 * - Two processes on one file would diverge, so `cloud.ts` locks the state directory.
 * - It does not check signatures. Callers other than functions use the loopback server, which does. The process listens on
 *   a random loopback address (127.0.0.0/8), so that web pages cannot find it. Another user of the machine can still find
 *   it.
 * - The port stays the same while this process runs, because its clients keep using it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../engine.ts';
import { EngineStartError } from '../errors.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from '../process-identity.ts';
import { createDynamoClient } from './dynamo-client.ts';

export interface DynoxideProcess {
  readonly endpoint: string;
  /** Its management endpoint (Model Context Protocol), for the sweep of expired items. */
  readonly management: { readonly url: string; readonly token: string };
  /** Path of the database file. */
  readonly directory: string;
  readonly databaseFile: string;
  pid(): number | undefined;
  stop(): Promise<void>;
}

interface Recorded {
  readonly process?: ProcessIdentity;
  readonly ports: readonly [number, number];
}

const readyLimitMs = 10_000;
const stopLimitMs = 3_000;
const attempts = 5;

/** @throws EngineStartError with a solution if there is no binary for this system. */
export const findDynoxide = (): string => {
  try {
    const manifest = createRequire(import.meta.url).resolve('@dynoxide/linux-x64/package.json');
    const binary = join(dirname(manifest), 'dynoxide');
    if (process.platform === 'linux' && process.arch === 'x64' && existsSync(binary)) return binary;
  } catch {
    // Not installed: an optional dependency of linux-x64 only.
  }
  throw new EngineStartError(
    `no embedded DynamoDB for ${process.platform}-${process.arch} (dynoxide is installed on linux-x64 only): ` +
      'set BULKHEAD_DYNAMODB_ENDPOINT to the URL of any DynamoDB endpoint, such as http://127.0.0.1:8000',
  );
};

/** The management endpoint can be on a fixed address, because it requires a token. */
const managementHost = '127.0.0.1';

const randomLoopback = (): string => ['127', ...Array.from({ length: 3 }, () => randomInt(1, 255))].join('.');

/** Whether a port of a loopback address is free; 0 asks for any. */
const claimPort = (port: number, host: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });

const choosePort = async (preferred: number, host: string): Promise<number> => {
  const port = (preferred > 0 ? await claimPort(preferred, host) : undefined) ?? (await claimPort(0, host));
  if (port === undefined) throw new EngineStartError(`no free port on ${host}`);
  return port;
};

const readRecord = (file: string): Recorded => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Recorded;
  } catch {
    return { ports: [0, 0] };
  }
};

const endStale = async (recorded: ProcessIdentity | undefined, log: Log): Promise<void> => {
  if (recorded === undefined || !isSameProcess(recorded)) return;
  log.warn('ending a dynoxide process that an earlier run left behind', { pid: recorded.pid });
  process.kill(recorded.pid, 'SIGKILL');
  while (isSameProcess(recorded)) await sleep(5);
};

const pathOf = (program: string): string | undefined =>
  ['/usr/bin', '/bin', '/usr/local/bin'].map((dir) => join(dir, program)).find((path) => existsSync(path));

class Dynoxide implements DynoxideProcess {
  readonly directory: string;
  readonly databaseFile: string;
  endpoint = '';
  management = { url: '', token: '' };
  readonly #binary: string;
  readonly #log: Log;
  readonly #recordFile: string;
  readonly #host = randomLoopback();
  #child: ChildProcess | undefined;
  #stopping = false;
  #lastWords = '';

  constructor(stateDir: string, binary: string, log: Log) {
    this.directory = join(stateDir, 'dynamodb');
    this.databaseFile = join(this.directory, 'tables.db');
    this.#recordFile = join(stateDir, 'dynoxide.json');
    this.#binary = binary;
    this.#log = log;
  }

  pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const recorded = readRecord(this.#recordFile);
    await endStale(recorded.process, this.#log);
    let ports = recorded.ports;
    for (let attempt = 1; ; attempt += 1) {
      ports = [await choosePort(ports[0], this.#host), await choosePort(ports[1], managementHost)];
      if (await this.#spawn(ports)) return;
      // Another program may have taken a port between the check and the start.
      if (attempt === attempts) throw new EngineStartError(`dynoxide did not start: ${this.#lastWords}`);
      ports = [0, 0];
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
    await exited;
    clearTimeout(timer);
    writeFileSync(this.#recordFile, JSON.stringify({ ports: readRecord(this.#recordFile).ports }));
  }

  async #spawn(ports: readonly [number, number]): Promise<boolean> {
    const [port, managementPort] = ports;
    const token = randomBytes(24).toString('base64url');
    const flags = ['serve', '--host', this.#host, '--port', String(port), '--db-path', this.databaseFile];
    const management = ['--mcp', '--mcp-port', String(managementPort)];
    const setpriv = pathOf('setpriv');
    const command = [
      ...(setpriv ? [setpriv, '--pdeathsig', 'KILL', '--'] : []),
      this.#binary,
      ...flags,
      ...management,
    ];
    const [program = this.#binary, ...args] = command;
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { DYNOXIDE_MCP_AUTH_TOKEN: token },
    });
    this.#child = child;
    this.#lastWords = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-500);
    });
    child.on('error', (error) => {
      this.#lastWords = error.message;
    });
    this.endpoint = `http://${this.#host}:${port}`;
    this.management = { url: `http://${managementHost}:${managementPort}/mcp`, token };
    const ready = await this.#answers(child);
    if (!ready) child.kill('SIGKILL');
    else {
      const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
      writeFileSync(this.#recordFile, JSON.stringify({ process: identity, ports }));
      child.once('exit', (code, signal) => void this.#revive(ports, code ?? signal));
    }
    return ready;
  }

  async #answers(child: ChildProcess): Promise<boolean> {
    const client = createDynamoClient(this.endpoint);
    const deadline = Date.now() + readyLimitMs;
    try {
      while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
        const answered = await client.call('ListTables', { Limit: 1 }).then(
          () => true,
          () => false,
        );
        // The child is gone, so the response came from another program on that port.
        if (answered) return child.exitCode === null && child.signalCode === null;
        await sleep(3);
      }
      return false;
    } finally {
      client.close();
    }
  }

  async #revive(ports: readonly [number, number], reason: unknown): Promise<void> {
    if (this.#stopping) return;
    this.#log.error('dynoxide exited unexpectedly; starting it again', {
      reason,
      lastWords: this.#lastWords,
    });
    for (let delayMs = 10; !this.#stopping; delayMs = Math.min(delayMs * 2, 2_000)) {
      if (await this.#spawn(ports)) return;
      await sleep(delayMs);
    }
  }
}

/** @throws EngineStartError */
export const startDynoxide = async (stateDir: string, log: Log): Promise<DynoxideProcess> => {
  const dynoxide = new Dynoxide(stateDir, findDynoxide(), log);
  await dynoxide.start();
  return dynoxide;
};
