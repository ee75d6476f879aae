import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { sleep } from '../../../clock.ts';
import { RuntimeError } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { readJson, writeJson } from '../files.ts';
import { holdsFiles, identify, killProcess, type ProcessIdentity } from '../proc.ts';
import { GATEWAY } from './addresses.ts';
import type { Endpoint } from './endpoint.ts';
import { containerResolvConf } from './resolver/name-servers.ts';

const DEATH_POLL_MS = 5;
const PROGRAM = new URL('resolver/main.ts', import.meta.url).pathname;
const ProcessSchema = z.strictObject({ pid: z.int(), startTicks: z.number() });

/**
 * The separate process of the resolver. It continues when the agent ends, because containers continue. The next agent replaces
 * it. Its input is one file per container (`resolver/container-policy.ts`).
 */
export class ResolverProcess {
  readonly #deps: LinuxDeps;
  readonly #router: string;
  readonly #nameServers: readonly string[];
  readonly #folder: string;

  /**
   * @param router path of the router's network namespace
   * @param nameServers as `host#port`; if empty, those of the host's resolv.conf
   */
  constructor(deps: LinuxDeps, router: string, nameServers: readonly string[]) {
    this.#deps = deps;
    this.#router = router;
    this.#nameServers = nameServers;
    this.#folder = join(deps.layout.run, 'names');
  }

  /** The resolv.conf of containers. */
  get resolvConfPath(): string {
    return join(this.#deps.layout.run, 'resolv.conf');
  }

  async start(): Promise<void> {
    await this.writeResolvConf();
    await this.stop();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeJson(this.#recordPath, await this.#spawn());
  }

  async stop(): Promise<void> {
    const process = await readJson(this.#recordPath, ProcessSchema);
    if (process) {
      killProcess(process);
      // The process's sockets block its addresses until then.
      while (holdsFiles(process)) await sleep(this.#deps.clock, DEATH_POLL_MS);
    }
    await rm(this.#recordPath, { force: true });
  }

  /**
   * Writes the host's current search domains and options. The file is written in place, because containers mount it.
   * @returns the file's text
   */
  async writeResolvConf(): Promise<string> {
    const wanted = containerResolvConf(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''), GATEWAY);
    const current = await readFile(this.resolvConfPath, 'utf8').catch(() => null);
    if (wanted === current) return wanted;
    await writeFile(this.resolvConfPath, wanted);
    await chmod(this.resolvConfPath, 0o644);
    return wanted;
  }

  /** Passes a container's endpoint and policy to the resolver. */
  async serve(endpoint: Endpoint, allowPrivate: readonly string[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeJson(this.#pathOf(endpoint), { endpoint, allowPrivate });
  }
  async forget(endpoint: Endpoint): Promise<void> {
    await rm(this.#pathOf(endpoint), { force: true });
  }

  get #recordPath(): string {
    return join(this.#folder, 'process');
  }
  #pathOf({ address }: Endpoint): string {
    return join(this.#folder, `${address}.json`);
  }

  #spawn(): Promise<ProcessIdentity> {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
    const program = [...node, this.#folder, this.#router, this.#nameServers.join(',')];
    const options = ['serve-names', `router=${this.#router}`, `address=${GATEWAY}`, '--', ...program];
    const child = spawn(this.#deps.artifacts.helper, options, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    child.unref();
    return new Promise((resolve, reject) => {
      let said = '';
      const fail = (why: string) =>
        reject(new RuntimeError('step-failed', `The resolver of the switch could not be started: ${why}`));
      child.stdout.once('data', (line: Buffer) => {
        const identity = identify(Number(line.toString()));
        child.stdout.destroy();
        child.stderr.destroy();
        if (identity === null) fail('it ended immediately');
        else resolve(identity);
      });
      child.stderr.on('data', (piece: Buffer) => {
        said += piece.toString();
      });
      child.once('error', (error) => fail(error.message));
      child.once('close', () => fail(said.trim()));
    });
  }
}
