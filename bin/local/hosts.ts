/**
 * The agents of the local hosts, each a process.
 *
 * The first start uses an enrollment token. An agent that exits is restarted after 1, 2, 4 … 30 s, with a message. No agent
 * outlives this process: with setpriv the kernel kills the agents, otherwise they exit when their stdin is closed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from './options.ts';

const SETPRIV = '/usr/bin/setpriv';
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;
/** After this uptime, the wait before the next restart is reset to the first value. */
const STABLE_MS = 60_000;
const STOP_MS = 10_000;

export interface LocalHost {
  readonly name: string;
  /** Further arguments of the agent: the runtime, and its options. */
  readonly agentOptions: readonly string[];
  /** The fallback if this machine does not support its runtime. */
  readonly fallback?: LocalHost | null;
}

/** Exit codes of the agent (`agent/main.ts --help`) after which a restart would fail the same way. */
const NOT_RESTARTED = new Set([2, 3, 4]);
const RUNTIME_UNUSABLE = 5;

interface Ending {
  readonly code: number | null;
  /** As text. */
  readonly how: string;
}

interface HostsSetting {
  readonly apiUrl: string;
  readonly stateDir: string;
  /** The agent's program; tests use another one. */
  readonly program?: string;
  /** A token with which one host can enroll. */
  enrollmentToken(): Promise<string>;
  say(line: string): void;
}

export class Hosts {
  readonly #setting: HostsSetting;
  readonly #stopping = new AbortController();
  readonly #children = new Set<ChildProcess>();

  constructor(setting: HostsSetting) {
    this.#setting = setting;
  }

  /** Starts an agent and keeps it running. */
  start(host: LocalHost): void {
    this.#keep(host).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        this.#setting.say(`The agent of ${host.name} cannot be started: ${String(error)}`);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const ended = [...this.#children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of this.#children) child.kill('SIGTERM');
    await Promise.race([Promise.all(ended), sleep(STOP_MS, undefined, { ref: false })]);
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #keep(host: LocalHost): Promise<void> {
    const { name } = host;
    let wait = FIRST_WAIT_MS;
    while (!this.#stopping.signal.aborted) {
      const began = Date.now();
      const { code, how } = await this.#run(host);
      if (this.#stopping.signal.aborted) return;
      if (code === RUNTIME_UNUSABLE) return this.#replace(host);
      if (code !== null && NOT_RESTARTED.has(code)) {
        this.#setting.say(`The agent of ${name} cannot run: ${this.#lastMessage(name)}`);
        return;
      }
      if (Date.now() - began > STABLE_MS) wait = FIRST_WAIT_MS;
      this.#setting.say(
        `The agent of ${name} exited (${how}) and restarts in ${wait / 1000} s. Log: ${this.#logFile(name)}`,
      );
      await sleep(wait, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      wait = Math.min(wait * 2, MAX_WAIT_MS);
    }
  }

  #replace({ name, fallback }: LocalHost): void {
    const substitute = fallback ? ' A simulated host is used instead.' : '';
    this.#setting.say(`${name} cannot run containers: ${this.#lastMessage(name)}${substitute}`);
    if (fallback) this.start(fallback);
  }

  /** The last message in the agent's log. */
  #lastMessage(name: string): string {
    const lines = readFileSync(this.#logFile(name), 'utf8').trimEnd().split('\n');
    try {
      return String(JSON.parse(lines.at(-1) ?? '').message);
    } catch {
      return lines.at(-1) ?? '';
    }
  }

  #logFile(name: string): string {
    return join(this.#setting.stateDir, 'logs', `${name}.log`);
  }

  /** Runs the agent to its end. */
  async #run({ name, agentOptions }: LocalHost): Promise<Ending> {
    const { apiUrl, stateDir, program = join(ROOT, 'agent/main.ts') } = this.#setting;
    const hostDir = join(stateDir, 'hosts', name);
    const isEnrolled = existsSync(join(hostDir, 'enrolment.json'));
    const token = isEnrolled ? undefined : await this.#setting.enrollmentToken();
    mkdirSync(join(stateDir, 'logs'), { recursive: true, mode: 0o700 });
    const log = openSync(this.#logFile(name), 'a');
    const agent = [program, '--api-url', apiUrl, '--state-dir', hostDir, '--name', name];
    const options = [...agentOptions, '--exit-with-parent'];
    const withParent = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--'] : [];
    const [command = '', ...args] = [
      ...withParent,
      process.execPath,
      ...process.execArgv,
      ...agent,
      ...options,
    ];
    const child = spawn(command, args, {
      cwd: ROOT,
      // In a separate process group, so that Ctrl-C reaches only this process, which then stops the agents.
      detached: true,
      stdio: ['pipe', log, log],
      env: { ...process.env, ...(token === undefined ? {} : { BULKHEAD_ENROLLMENT_TOKEN: token }) },
    });
    closeSync(log);
    this.#children.add(child);
    return await new Promise((resolve) => {
      const settle = (ending: Ending): void => {
        this.#children.delete(child);
        resolve(ending);
      };
      child.once('error', (error) => settle({ code: null, how: error.message }));
      child.once('exit', (code, signal) => settle({ code, how: signal ?? `exit code ${code}` }));
    });
  }
}
