import { createHash } from 'node:crypto';
import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, jest, test } from '@jest/globals';
import { endOfLog } from '../../../agent/runtimes/linux/container/read-log.ts';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { commandLineOf, listPids } from '../../../agent/runtimes/linux/proc.ts';
import type { AttachOptions } from '../../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, until } from '../../helpers/linux-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

/** Attachments to a main process without a terminal. They read all output from the log, no faster than the client consumes it. */
jest.setTimeout(120_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];

const logOf = (folder: string, id: string): string => containerPaths(createLayout(folder), id).log;

real('an attachment without a terminal', () => {
  const host = new SharedLinuxHost('attach');

  const make = (runtimeType: RuntimeType, program: string): AssignedContainer =>
    container({ runtimeType, command: ['sh', '-c', program], switchName: 'none' });
  const join = async ({ id }: AssignedContainer, options: Partial<AttachOptions> = {}) => {
    const process = await host.runtime.attach(id, { logs: true, terminal: false, ...options });
    let text = '';
    process.onInputTaken(() => undefined);
    process.onOutput((_stream, data) => {
      text += data.toString('latin1');
      process.consumed(data.length);
    });
    return { process, text: () => text };
  };

  test('Default: the helper never waits for output that the container itself has read', async () => {
    const one = make('Default', 'sleep 600');
    await host.up(one);
    const helper = listPids().find((pid) => commandLineOf(pid).includes(`id=${one.id}`));
    const [main] = await host.runtime.listProcesses(one.id);
    // The container's root opens both ends of them through /proc.
    const pipes = [1, 2].map((fd) => readlinkSync(`/proc/${main?.hostPid}/fd/${fd}`));
    const flags = readdirSync(`/proc/${helper}/fd`)
      .filter((fd) => pipes.includes(readlinkSync(`/proc/${helper}/fd/${fd}`)))
      .map((fd) => /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${helper}/fdinfo/${fd}`, 'utf8'))?.[1]);
    expect(flags).toHaveLength(2);
    for (const octal of flags) expect(Number.parseInt(octal ?? '', 8) & constants.O_NONBLOCK).not.toBe(0);
  });

  test.each(TYPES)('%s: delivers a prompt without a newline, and the answer to it', async (runtimeType) => {
    const one = make(runtimeType, 'printf "name? "; read name; echo "hello $name"; exit 3');
    await host.up(one);
    const { process, text } = await join(one);
    await until(() => text() === 'name? ');
    process.write(Buffer.from('ann\n'));
    expect(await process.exited).toBe(3);
    expect(text()).toBe('name? hello ann\n');
  });

  test.each(TYPES)(
    '%s: delivers all output to a slow reader, even after the process’s exit, without blocking the process',
    async (runtimeType) => {
      const one = make(runtimeType, 'read go; head -c 3000000 /dev/urandom | tee /data; exit 4');
      await host.up(one);
      const process = await host.runtime.attach(one.id, { logs: true, terminal: false });
      const hash = createHash('sha256');
      let [bytes, unread] = [0, 0];
      process.onInputTaken(() => undefined);
      process.onOutput((_stream, data) => {
        hash.update(data);
        bytes += data.length;
        unread += data.length;
      });
      process.write(Buffer.from('\n'));
      // The process ends although no output is read.
      await until(async () => (await host.runtime.inspect(one.id))[0]?.process?.running === false);
      expect(bytes).toBeLessThan(400_000);
      let exitCode: number | undefined;
      void process.exited.then((code) => {
        exitCode = code;
      });
      while (exitCode === undefined) {
        await sleep(5);
        const consumed = unread;
        unread = 0;
        process.consumed(consumed);
      }
      expect([exitCode, bytes]).toEqual([4, 3_000_000]);
      await host.off(one);
      const again = make(runtimeType, 'sha256sum /data; sleep 100');
      await host.up({ ...again, id: one.id });
      const { process: second, text } = await join(one);
      await until(() => text().includes('/data'));
      expect(text()).toBe(`${hash.digest('hex')}  /data\n`);
      second.end();
    },
  );

  const LINES = 400_000;
  test.each(TYPES)(
    '%s: with pacing, the process waits for the reader, so that more output than the log keeps arrives completely',
    async (runtimeType) => {
      const one = make(runtimeType, `seq 1 ${LINES}; exit 6`);
      await host.up(one);
      const process = await host.runtime.attach(one.id, { logs: true, terminal: false, paced: true });
      let [text, unread] = ['', 0];
      process.onInputTaken(() => undefined);
      process.onOutput((_stream, data) => {
        text += data.toString('latin1');
        unread += data.length;
      });
      await sleep(3_000);
      const [waiting] = await host.runtime.inspect(one.id);
      expect([text.length < 400_000, waiting?.process?.running]).toEqual([true, true]);
      let exitCode: number | undefined;
      void process.exited.then((code) => {
        exitCode = code;
      });
      while (exitCode === undefined) {
        await sleep(1);
        const consumed = unread;
        unread = 0;
        process.consumed(consumed);
      }
      const lines = text.split('\n');
      expect([exitCode, lines.length, lines[0], lines[LINES - 1]]).toEqual([6, LINES + 1, '1', `${LINES}`]);
      expect(lines.slice(0, LINES).findIndex((line, index) => line !== `${index + 1}`)).toBe(-1);
    },
  );

  test.each(TYPES)(
    '%s: a process that waits for its reader can be stopped, and continues when the reader has left',
    async (runtimeType) => {
      const one = make(runtimeType, 'i=0; while true; do i=$((i+1)); echo $i; head -c 20000 /dev/zero; done');
      await host.up(one);
      const attach = async () => {
        const process = await host.runtime.attach(one.id, { logs: false, terminal: false, paced: true });
        process.onInputTaken(() => undefined);
        process.onOutput(() => undefined);
        return process;
      };
      const size = () => endOfLog(logOf(host.folder, one.id));
      const stands = async (): Promise<boolean> => {
        const before = await size();
        await sleep(500);
        return (await size()) === before;
      };
      const first = await attach();
      await until(stands);
      first.end();
      await until(async () => !(await stands()));
      await attach();
      await until(stands);
      await host.runtime.stopProcess(one.id, 2, new AbortController().signal);
      expect((await host.runtime.inspect(one.id))[0]?.process?.running).toBe(false);
    },
  );

  test.each(TYPES)('%s: begins with new output, or at a cursor of the log', async (runtimeType) => {
    const one = make(runtimeType, 'echo one; echo two; while read line; do echo "$line"; done');
    await host.up(one);
    await until(async () => (await host.runtime.readLog(one.id, {})).items.length === 2);
    const { items, nextCursor } = await host.runtime.readLog(one.id, {});
    expect(items.map(({ text }) => text)).toEqual(['one', 'two']);
    const now = await join(one, { logs: false });
    const { process, text } = await join(one, { logs: false, cursor: nextCursor });
    process.write(Buffer.from('three\n'));
    await until(() => text() === 'three\n' && now.text() === 'three\n');
    process.end();
    now.process.end();
  });
});
if (!possible) test.todo('cannot run on this machine');
