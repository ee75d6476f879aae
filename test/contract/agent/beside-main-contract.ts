import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Runtime } from '../../../agent/runtimes/runtime.ts';
import type { ExecRequest, SessionProcess } from '../../../agent/runtimes/session-process.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring, until } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';

/** A shell on a terminal may query the cursor position after its prompt, and repeat the prompt without a response. */
const CURSOR = `(${'\u001b'}\\[6n)?(\r[^\n]*${'\u001b'}\\[J)?`;
const PROMPT = new RegExp(`[$#] ${CURSOR}$`);
const AFTER_INTERRUPT = new RegExp(`\\^C\r\n.*[$#] ${CURSOR}$`, 's');

/** Collects a process's output, and can wait for it. */
const listen = (process: SessionProcess) => {
  const hash = createHash('sha256');
  let text = '';
  let bytes = 0;
  process.onOutput((_stream, data) => {
    bytes += data.length;
    hash.update(data);
    if (text.length < 100_000) text += data.toString();
    process.consumed(data.length);
  });
  process.onInputTaken(() => undefined);
  return {
    text: () => text,
    bytes: () => bytes,
    digest: () => hash.digest('hex'),
    until: (pattern: RegExp) => until(() => pattern.test(text)),
  };
};

export interface BesideMainSubject {
  readonly runtime: Runtime;
  readonly dispose: () => Promise<void>;
  /** Whether a shell has executed that program. Omitted if that is immediate in the runtime. */
  readonly runs?: (containerId: string, commandLine: string) => Promise<boolean>;
}

/**
 * Tests for sessions in every runtime of Linux containers: exec, terminals, attachments, logs. A test file calls it; `open` is
 * called once.
 */
export const besideMainContract = (name: string, open: () => Promise<BesideMainSubject>): void => {
  describe.each<RuntimeType>(['Default', 'HyperV'])(`sessions: ${name}, %s`, (runtimeType) => {
    let runtime: Runtime;
    let dispose: BesideMainSubject['dispose'];
    let runs: BesideMainSubject['runs'];
    let one: AssignedContainer;
    const make = (command: string[], more: object = {}): AssignedContainer =>
      container({ image: 'mini', runtimeType, switchName: 'none', command, ...more });
    beforeAll(async () => {
      ({ runtime, dispose, runs } = await open());
      one = make(['sleep', '600']);
      await bring(runtime, one.id, one, 'Running');
    });
    afterAll(() => dispose?.());

    const start = (request: Partial<ExecRequest>, id = one.id) =>
      runtime.startExec(id, { command: ['sh'], ...request });

    test('exec returns output and exit code and sets the environment', async () => {
      const done = await runIn(runtime, one.id, {
        command: ['sh', '-c', 'echo out; env; exit 3'],
        env: { HUE: 'red' },
      });
      expect(done).toMatchObject({ exitCode: 3, stderr: '', truncated: false, timedOut: false });
      expect(done.stdout).toMatch(/^out\n/);
      expect(done.stdout).toContain('HUE=red');
    });

    test('bytes are passed unchanged, and the end of input is passed on', async () => {
      const process = await start({ command: ['cat'] });
      const output = listen(process);
      const sent = randomBytes(300_000);
      for (let from = 0; from < sent.length; from += 10_000) {
        process.write(sent.subarray(from, from + 10_000));
        await until(() => output.bytes() > from - 100_000);
      }
      process.endInput();
      expect(await process.exited).toBe(0);
      expect(output.digest()).toBe(createHash('sha256').update(sent).digest('hex'));
    });

    test('a terminal echoes, and ^C does not end its shell', async () => {
      const process = await start({ tty: true, columns: 100, rows: 30 });
      const output = listen(process);
      await output.until(PROMPT);
      process.write(Buffer.from('uname; sleep 100\r'));
      await output.until(/Linux\r\n/);
      // An interrupt between two programs of a line has no effect, and busybox's shell may hang.
      await until(async () => (await runs?.(one.id, 'sleep 100')) ?? true);
      await until(async () => {
        process.write(Buffer.from('\u0003'));
        await new Promise((resolve) => setTimeout(resolve, 200));
        return AFTER_INTERRUPT.test(output.text());
      });
      process.write(Buffer.from('exit 9\r'));
      expect(await process.exited).toBe(9);
    });

    test('signals reach the process', async () => {
      const process = await start({ command: ['sleep', '1000'] });
      listen(process);
      process.signal(15);
      expect(await process.exited).toBe(143);
    });

    test('a client that reads nothing blocks only its own process', async () => {
      const flood = await start({ command: ['cat'] });
      let got = 0;
      let taken = 0;
      let ending = false;
      flood.onOutput((_stream, data) => {
        got += data.length;
        if (ending) flood.consumed(data.length);
      });
      flood.onInputTaken((bytes) => {
        taken += bytes;
      });
      for (let pieces = 0; pieces < 100; pieces += 1) {
        if (taken + 64 * 1024 < pieces * 16 * 1024) break;
        flood.write(Buffer.alloc(16 * 1024));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(got).toBeLessThanOrEqual(512 * 1024);
      expect((await runIn(runtime, one.id, { command: ['echo', 'well'] })).stdout).toBe('well\n');
      ending = true;
      flood.end();
      flood.consumed(got);
      await flood.exited;
    });

    test('an abandoned process is killed, including a process that ignores signals', async () => {
      const before = (await runtime.listProcesses(one.id)).length;
      const process = await start({ command: ['sleep', '4321'] });
      listen(process);
      process.end();
      await process.exited;
      await until(async () => (await runtime.listProcesses(one.id)).length === before);
    });

    test('a session in a stopped container is refused', async () => {
      const off = make(['sleep', '600']);
      await bring(runtime, off.id, off, 'Off');
      await expect(start({}, off.id)).rejects.toMatchObject({ code: 'invalid-state' });
      await expect(runtime.attach(off.id, { logs: true, terminal: true })).rejects.toMatchObject({
        code: 'invalid-state',
      });
      await expect(runtime.isolation(off.id)).rejects.toMatchObject({ code: 'invalid-state' });
      await bring(runtime, off.id, null, 'Absent');
    });

    test('processes of sessions end with their container', async () => {
      const other = make(['sleep', '600']);
      await bring(runtime, other.id, other, 'Running');
      const process = await start({ command: ['sleep', '1000'] }, other.id);
      listen(process);
      const ended = process.exited.then(
        () => 'ended',
        () => 'ended',
      );
      await bring(runtime, other.id, null, 'Absent');
      expect(await ended).toBe('ended');
    });

    test('an attachment to a terminal gets the output from the first byte on, and the exit', async () => {
      const shell = make(['sh'], { tty: true });
      await bring(runtime, shell.id, shell, 'Running');
      const process = await runtime.attach(shell.id, { logs: true, terminal: true });
      const output = listen(process);
      await output.until(PROMPT);
      process.resize(90, 20);
      process.write(Buffer.from('exit 5\r'));
      expect(await process.exited).toBe(5);
      await bring(runtime, shell.id, null, 'Absent');
    });

    test('an attachment that allows an ended run gets its output and its exit', async () => {
      const short = make(['sh', '-c', 'echo done; exit 6']);
      await bring(runtime, short.id, short, 'Running');
      await until(async () => (await runtime.inspect(short.id))[0]?.process?.running === false);
      const options = { logs: true, terminal: false } as const;
      await expect(runtime.attach(short.id, options)).rejects.toMatchObject({ code: 'invalid-state' });
      const process = await runtime.attach(short.id, { ...options, evenEnded: true });
      const output = listen(process);
      expect(await process.exited).toBe(6);
      expect(output.text()).toBe('done\n');
      await bring(runtime, short.id, null, 'Absent');
    });

    test('the isolation report has the measured values', async () => {
      const report = await runtime.isolation(one.id);
      const shared = runtimeType === 'Default';
      expect(report).toMatchObject({ runtimeType, sharedKernel: shared });
      expect([report.visibleOnHost.length > 0, report.workerProcess === null]).toEqual([shared, shared]);
    });

    test('pages of the log contain all entries, the last ones, and new ones since a cursor', async () => {
      const talks = make(['sh', '-c', 'echo one; echo two; sleep 2; echo three; sleep 600']);
      await bring(runtime, talks.id, talks, 'Running');
      const read = (query: object = {}) => runtime.readLog(talks.id, query);
      await until(async () => (await read()).items.length === 2);
      const first = await read();
      expect(first).toMatchObject({ truncated: false, more: false });
      expect((await read({ tail: 1 })).items.map(({ text }) => text)).toEqual(['two']);
      expect((await read({ tail: 0 })).items).toEqual([]);
      expect((await read({ cursor: first.nextCursor })).items).toEqual([]);
      await until(async () => (await read({ cursor: first.nextCursor })).items.length > 0);
      expect((await read({ cursor: first.nextCursor })).items).toMatchObject([
        { text: 'three', stream: 'stdout' },
      ]);
      const since = first.items[1]?.at;
      expect((await read({ since })).items.map(({ text }) => text)).toContain('three');
      await expect(read({ cursor: 'nonsense' })).rejects.toMatchObject({ code: 'cursor-invalid' });
      await bring(runtime, talks.id, talks, 'Off');
      expect((await read()).items).toHaveLength(3);
      await bring(runtime, talks.id, null, 'Absent');
    });
  });
};
