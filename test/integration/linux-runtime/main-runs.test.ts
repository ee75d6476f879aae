import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Clock, systemClock } from '../../../agent/clock.ts';
import { FRAME, FrameDecoder } from '../../../agent/runtimes/linux/channel/frames.ts';
import { GuestProcess } from '../../../agent/runtimes/linux/channel/guest-process.ts';
import { MainRuns } from '../../../agent/runtimes/linux/container/main-runs.ts';
import { ContainerRecords } from '../../../agent/runtimes/linux/container/records.ts';
import type { LinuxDeps } from '../../../agent/runtimes/linux/deps.ts';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { identify, type ProcessIdentity } from '../../../agent/runtimes/linux/proc.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const ID = '0b6c4c1e-7a43-4f0e-9d3c-0a6a4b3c2d1e';

let folder: string;
let paths: ReturnType<typeof containerPaths>;
let runs: MainRuns;
let runsWith: (clock: Clock) => MainRuns;
let errors: string[];
const children: ChildProcess[] = [];

/** A process that runs until it is killed. */
const stays = (): { readonly child: ChildProcess; readonly identity: ProcessIdentity } => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  children.push(child);
  const identity = identify(child.pid ?? 0);
  if (identity === null) throw new Error('the process is not there');
  return { child, identity };
};
const kill = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
/** A started main process in a guest that accepts signals but ignores them. */
const deafGuest = (): { readonly guest: GuestProcess; readonly signals: number[] } => {
  const signals: number[] = [];
  const send = (sent: Buffer): void => {
    for (const { type, payload } of new FrameDecoder().push(sent))
      if (type === FRAME.signal) signals.push(payload[0] ?? 0);
  };
  const guest = new GuestProcess(1, { send, release: () => undefined });
  guest.receive({ type: FRAME.started, flags: 0, stream: 1, payload: Buffer.from([9, 0, 0, 0]) });
  return { guest, signals };
};
const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await sleep(10);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-main-runs-'));
  const layout = createLayout(join(folder, 'state'), join(folder, 'run'));
  paths = containerPaths(layout, ID);
  mkdirSync(paths.folder, { recursive: true });
  errors = [];
  const say = (): void => undefined;
  const log = { info: say, warn: say, error: (message: string) => errors.push(message) };
  runsWith = (clock) => {
    const deps = { clock, layout, log } as unknown as LinuxDeps;
    return new MainRuns(deps, new ContainerRecords(deps));
  };
  runs = runsWith(systemClock);
});
afterEach(async () => {
  runs.close();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('a run of a main process', () => {
  test('lasts until its exit is recorded, so that its end is never seen without the exit code', async () => {
    const main = stays();
    const helper = stays();
    await runs.begin(ID, 'run-1', 'Default', async () => ({
      process: main.identity,
      supervisor: helper.identity,
    }));
    await kill(main.child);
    expect(await runs.inspect(ID)).toMatchObject({ running: true, exitCode: null, exitReason: null });

    writeFileSync(paths.exit, JSON.stringify({ exitCode: 5, signal: 0, endedAtMs: 1 }));
    expect(await runs.inspect(ID)).toMatchObject({ running: false, exitCode: 5 });
    await kill(helper.child);
    await until(async () => !(await runs.inspect(ID))?.running);
    expect(await runs.inspect(ID)).toMatchObject({ exitCode: 5, exitReason: 'Ended with exit code 5' });
  });

  test('whose VM dies is never seen as ended without the reason', async () => {
    const main = stays();
    await runs.begin(ID, 'run-1', 'HyperV', async () => ({
      process: main.identity,
      supervisor: main.identity,
    }));
    let over = false;
    const died = runs.vmDied(ID, 'The utility VM ended', true).then(() => {
      over = true;
    });
    const seen = [];
    while (!over) seen.push(await runs.inspect(ID));
    await died;
    seen.push(await runs.inspect(ID));
    expect(seen.filter((one) => !one?.running && one?.exitReason !== 'The utility VM ended')).toEqual([]);
    expect(seen.at(-1)).toMatchObject({ running: false, exitCode: 137 });
  });

  test.each([0, 5])(
    'in a VM whose guest ignores every signal (%i s to end): the stop ends the VM, and records that',
    async (timeoutSeconds) => {
      const clock = new ManualClock();
      runs = runsWith(clock);
      const { guest, signals } = deafGuest();
      let told = 0;
      runs.onExit(() => {
        told += 1;
      });
      await runs.begin(ID, 'run-1', 'HyperV', async () => ({ main: guest }));
      const endVm = async (reason: string): Promise<void> => {
        guest.abandon(new Error(reason));
        await runs.vmDied(ID, reason, true);
      };
      let over = false;
      const stopped = runs
        .stop(ID, { timeoutSeconds, stopSignal: 2 }, new AbortController().signal, endVm)
        .finally(() => {
          over = true;
        });
      while (!over) await clock.pass(1_000);
      await stopped;
      expect(signals).toEqual(timeoutSeconds === 0 ? [9] : [2, 9]);
      expect(await runs.inspect(ID)).toMatchObject({
        running: false,
        exitCode: 137,
        exitReason: 'The guest did not end the process',
      });
      // The process was stopped on request, so no restart policy applies.
      expect(told).toBe(0);
    },
  );

  test('whose exit cannot be written ends, and the log reports that', async () => {
    const main = stays();
    let told = 0;
    runs.onExit(() => {
      told += 1;
    });
    await runs.begin(ID, 'run-1', 'Default', async () => ({
      process: main.identity,
      supervisor: main.identity,
    }));
    // Blocks the path at which the record is written before it is renamed.
    mkdirSync(`${paths.exit}.new`);
    await kill(main.child);
    await until(async () => told > 0);
    expect(await runs.inspect(ID)).toMatchObject({ running: false, exitCode: null });
    expect(errors).toEqual(['could not record an exit']);
  });
});
