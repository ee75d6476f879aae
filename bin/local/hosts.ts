/**
 * The agents of the local hosts, each a process.
 *
 * Started with an enrolment token the first time; one that ends by itself is started again, after 1, 2, 4 … 30 s,
 * and that is said. None outlives this process: where there is setpriv the kernel kills them with it, and elsewhere
 * they end when their stdin closes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from './options.ts';

const SETPRIV = '/usr/bin/setpriv';
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** One that has run this long is well: the next failure is counted as its first. */
const WELL_MS = 60_000;
const STOP_MS = 3_000;

export const SIMULATED_KINDS = ['nano-server', 'server-core', 'linux'] as const;
export type SimulatedKind = (typeof SIMULATED_KINDS)[number];

export interface LocalHost {
  readonly name: string;
  readonly kind: SimulatedKind;
}

/** The hosts for `--simulate`: the documented kinds in turn; one Linux host if nothing was said. */
export const simulatedHosts = (wanted: number | undefined): readonly LocalHost[] => {
  if (wanted === undefined) return [{ name: 'simulated-linux', kind: 'linux' }];
  return Array.from({ length: wanted }, (_, at) => {
    const kind = SIMULATED_KINDS[at % SIMULATED_KINDS.length] ?? 'linux';
    const round = Math.floor(at / SIMULATED_KINDS.length);
    return { name: round === 0 ? `simulated-${kind}` : `simulated-${kind}-${round + 1}`, kind };
  });
};

export interface HostsSetting {
  readonly apiUrl: string;
  readonly stateDir: string;
  /** Options of each simulated host's agent, e.g. its capacity. */
  readonly agentOptions: readonly string[];
  /** A token with which one host can enrol. */
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
        this.#setting.say(`The agent of ${host.name} can't be started: ${String(error)}`);
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
      const how = await this.#run(host);
      if (this.#stopping.signal.aborted) return;
      if (Date.now() - began > WELL_MS) wait = FIRST_WAIT_MS;
      const log = join(this.#setting.stateDir, 'logs', `${name}.log`);
      this.#setting.say(
        `The agent of ${name} ended (${how}); it is started again in ${wait / 1000} s. Its log: ${log}`,
      );
      await sleep(wait, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** Runs the agent to its end. @returns how it ended, in words */
  async #run({ name, kind }: LocalHost): Promise<string> {
    const { apiUrl, stateDir, agentOptions } = this.#setting;
    const hostDir = join(stateDir, 'hosts', name);
    const isEnrolled = existsSync(join(hostDir, 'enrolment.json'));
    const token = isEnrolled ? undefined : await this.#setting.enrollmentToken();
    mkdirSync(join(stateDir, 'logs'), { recursive: true });
    const log = openSync(join(stateDir, 'logs', `${name}.log`), 'a');
    const agent = [join(ROOT, 'agent/main.ts'), '--api-url', apiUrl, '--state-dir', hostDir, '--name', name];
    const options = ['--runtime', 'simulated', '--simulate', kind, ...agentOptions, '--exit-with-parent'];
    const tie = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--'] : [];
    const [command = '', ...args] = [...tie, process.execPath, ...agent, ...options];
    const child = spawn(command, args, {
      cwd: ROOT,
      // In a group of its own, so that Ctrl-C reaches this process only, which then stops the agents in order.
      detached: true,
      stdio: ['pipe', log, log],
      env: { ...process.env, ...(token === undefined ? {} : { BULKHEAD_ENROLLMENT_TOKEN: token }) },
    });
    closeSync(log);
    this.#children.add(child);
    return await new Promise((resolve) => {
      const settle = (how: string): void => {
        this.#children.delete(child);
        resolve(how);
      };
      child.once('error', (error) => settle(error.message));
      child.once('exit', (code, signal) => settle(signal ?? `exit code ${code}`));
    });
  }
}
