import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import type { LinuxRuntime } from '../../agent/runtimes/linux/linux-runtime.ts';
import type { LinuxHostOptions } from '../../agent/runtimes/linux/open-host.ts';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { bring, linuxHostFolder, openTestHost, removeAllContainers } from './linux-host.ts';
import { findTraces, NO_TRACES } from './linux-leaks.ts';
import { runIn } from './run-in-container.ts';

/** One host for all tests of a file. At the end none of its resources may be left on the machine. */
export class SharedLinuxHost {
  readonly folder: string;
  readonly #options: Partial<LinuxHostOptions>;
  #runtime: LinuxRuntime | null = null;

  /** Call this at the start of a `describe`: it opens the host before the tests and checks for leaks after them. */
  constructor(name: string, options: Partial<LinuxHostOptions> = {}) {
    this.folder = linuxHostFolder(name);
    this.#options = options;
    beforeAll(() => this.reopen());
    afterEach(() => removeAllContainers(this.runtime));
    afterAll(async () => {
      await this.#runtime?.shutDown();
      expect(await findTraces(this.folder)).toEqual(NO_TRACES);
    });
  }

  get runtime(): LinuxRuntime {
    if (this.#runtime === null) throw new TypeError('The host is not open');
    return this.#runtime;
  }

  /** Opens the host again after a test has closed it. */
  async reopen(): Promise<void> {
    this.#runtime = await openTestHost(this.folder, this.#options);
  }

  up(one: AssignedContainer): Promise<void> {
    return bring(this.runtime, one.id, one, 'Running');
  }
  off(one: AssignedContainer): Promise<void> {
    return bring(this.runtime, one.id, one, 'Off');
  }

  /**
   * Runs a shell script in the container. Returns its output without the last newline; throws with its output if it
   * fails.
   */
  async sh({ id }: AssignedContainer, script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await runIn(this.runtime, id, { command: ['sh', '-c', script] });
    if (exitCode !== 0) throw new TypeError(`exit code ${exitCode}: ${stderr}${stdout}`);
    return stdout.trimEnd();
  }

  /** Copies `probe.c`'s program into the container as /probe, through the input of a process, as a user would. */
  async putProbe({ id }: AssignedContainer): Promise<void> {
    const process = await this.runtime.startExec(id, {
      command: ['sh', '-c', 'cat > /probe; chmod 755 /probe'],
    });
    process.write(readFileSync(probeProgram()));
    process.endInput();
    expect(await process.exited).toBe(0);
  }
}

const SOURCE = new URL('probe/probe.c', import.meta.url).pathname;

/** Compiles `probe.c` to a static program, once for each version of the source. */
export const probeProgram = (): string => {
  const version = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const path = join(linuxHostFolder('probe'), version);
  if (!existsSync(path)) {
    execFileSync('gcc', ['-static', '-Os', '-s', '-o', `${path}.${process.pid}`, SOURCE]);
    renameSync(`${path}.${process.pid}`, path);
  }
  return path;
};
