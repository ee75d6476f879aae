import { describe, expect, test } from '@jest/globals';
import { decideRestart } from '../../../agent/execute/restart-policy.ts';

const ended = { exitCode: 1, ranForMs: 50, restartCount: 0, backoffMs: 0 };

describe('the restart policy', () => {
  test.each([
    ['no', 1, false],
    ['no', 0, false],
    ['on-failure', 1, true],
    ['on-failure', 0, false],
    ['on-failure', null, true],
    ['always', 0, true],
    ['always', 137, true],
  ] as const)('%s after exit code %s: %s', (name, exitCode, restarts) => {
    expect(decideRestart({ name }, { ...ended, exitCode }) !== null).toBe(restarts);
  });

  test('on-failure stops after its retries; always has no limit', () => {
    const third = { ...ended, restartCount: 3 };
    expect(decideRestart({ name: 'on-failure', maxRetries: 4 }, third)).not.toBeNull();
    expect(decideRestart({ name: 'on-failure', maxRetries: 3 }, third)).toBeNull();
    expect(decideRestart({ name: 'always', maxRetries: 3 }, third)).not.toBeNull();
  });

  test('the pause doubles from 100 ms to a minute and is reset after a long run', () => {
    const waits: number[] = [];
    let backoffMs = 0;
    for (let restart = 0; restart < 12; restart += 1) {
      backoffMs = decideRestart({ name: 'always' }, { ...ended, backoffMs })?.delayMs ?? Number.NaN;
      waits.push(backoffMs);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
    expect(decideRestart({ name: 'always' }, { ...ended, backoffMs, ranForMs: 10_000 })).toEqual({
      delayMs: 100,
    });
  });
});
