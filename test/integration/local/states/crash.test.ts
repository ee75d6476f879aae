import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HistoryEvent } from '../../../unit/local/states/harness.ts';

const EXECUTIONS = 30;
const KILLS = 12;

interface Ended {
  name: string;
  status: string;
  output: string;
  events: HistoryEvent[];
  transitions: number;
}

const directory = mkdtempSync(join(tmpdir(), 'states-crash-'));
const script = new URL('./crash-child.ts', import.meta.url).pathname;
let ended: Ended[] = [];

function host(): { process: ChildProcess; output: () => string } {
  const args = ['--disable-warning=ExperimentalWarning', script, directory, String(EXECUTIONS)];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  return { process: child, output: () => output };
}

function marks(file: string): Record<string, string>[] {
  const lines = readFileSync(join(directory, file), 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

/** The host is killed a fixed number of times at random moments, and then runs to its end. */
beforeAll(async () => {
  for (let i = 0; i < KILLS; i++) {
    const { process: child, output } = host();
    while (!output().includes('ready') && child.exitCode === null) await sleep(5);
    await sleep(Math.random() * 250);
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  const { process: child, output } = host();
  await once(child, 'close');
  ended = JSON.parse(output().trim().split('\n').at(-1) ?? '[]') as Ended[];
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('executions whose process is killed repeatedly', () => {
  test('all end with their expected output', () => {
    expect(ended).toHaveLength(EXECUTIONS);
    for (const { name, status, output } of ended) {
      expect({ name, status }).toEqual({ name, status: 'SUCCEEDED' });
      expect(JSON.parse(output)).toEqual({ items: [1, 2, 3], worked: [1, 2, 3], answer: `to ${name}` });
    }
  });

  test('have a history without gaps, repetitions or a second end', () => {
    for (const { events, transitions } of ended) {
      expect(events.map((event) => event.id)).toEqual(events.map((_, i) => i + 1));
      const types = events.map((event) => event.type);
      expect(types.filter((type) => type.startsWith('Execution'))).toEqual([
        'ExecutionStarted',
        'ExecutionSucceeded',
      ]);
      expect(types.filter((type) => type === 'TaskSucceeded')).toHaveLength(5);
      expect(types.filter((type) => type.endsWith('StateEntered'))).toHaveLength(8);
      expect(transitions).toBe(8);
    }
  });

  test('have every task invoked at least once', () => {
    const invoked = new Set(
      marks('invocations').map(({ execution, step, item }) => `${execution} ${step} ${item ?? ''}`),
    );
    expect(invoked.size).toBe(EXECUTIONS * 5);
  });

  test('keep their task token, however often its function is invoked', () => {
    const tokens = new Map<string, Set<string>>();
    for (const { execution = '', token } of marks('invocations')) {
      if (token) tokens.set(execution, (tokens.get(execution) ?? new Set()).add(token));
    }
    expect([...tokens.values()].map((set) => set.size)).toEqual(Array.from({ length: EXECUTIONS }, () => 1));
  });

  test('have their start and end reported at least once', () => {
    const told = new Set(marks('status').map(({ execution, status }) => `${execution} ${status}`));
    expect(told.size).toBe(EXECUTIONS * 2);
  });
});
