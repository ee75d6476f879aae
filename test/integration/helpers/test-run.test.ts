import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { beginTestRun, endTestRun } from '../../helpers/test-run.ts';

const NAMES = ['TMPDIR', 'BULKHEAD_TEST_RUN'] as const;

describe('the end of a test run', () => {
  const before = NAMES.map((name) => [name, process.env[name]] as const);
  beforeAll(beginTestRun);
  afterAll(() => {
    for (const [name, value] of before)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });

  test('ends processes that tests left, and removes their files', async () => {
    const folder = process.env.TMPDIR ?? '';
    expect(existsSync(folder)).toBe(true);
    const started = spawn('sleep', ['600'], { stdio: 'ignore', detached: true, env: process.env });
    const exited = once(started, 'exit');
    await once(started, 'spawn');
    const other = spawn('sleep', ['601'], { stdio: 'ignore', env: {} });
    await once(other, 'spawn');
    try {
      expect(endTestRun()).toEqual([`process ${started.pid}: sleep 600`]);
      expect(await exited).toEqual([null, 'SIGKILL']);
      expect(other.exitCode).toBeNull();
      expect(existsSync(folder)).toBe(false);
    } finally {
      other.kill('SIGKILL');
    }
  });
});
