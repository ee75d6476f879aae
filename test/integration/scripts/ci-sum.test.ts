import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../../..');
const SUM = join(ROOT, '.ci/sum.mjs');

describe('the last lines of CI', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-ci-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const sum = (parts: readonly (readonly [report: unknown, exit: number])[]) => {
    const files = parts.map(([report, exit], index) => {
      const file = join(folder, `${index}.json`);
      rmSync(file, { force: true });
      if (report !== undefined)
        writeFileSync(file, typeof report === 'string' ? report : JSON.stringify(report));
      return `${file}:${exit}`;
    });
    const { stdout, status } = spawnSync(process.execPath, [SUM, ...files], { encoding: 'utf8', cwd: ROOT });
    return { lines: stdout.trimEnd().split('\n'), status };
  };
  const check = (passed: number, failed: number) => ({ passed, failed });
  const jest = (numPassedTests: number, numFailedTests: number, numRuntimeErrorTestSuites = 0) => ({
    ...{ numTotalTests: numPassedTests + numFailedTests, numPassedTests, numFailedTests },
    numRuntimeErrorTestSuites,
  });

  test.each<[string, readonly (readonly [unknown, number])[], string, number]>([
    [
      'all steps succeed',
      [
        [check(4, 0), 0],
        [jest(10, 0), 0],
      ],
      '14 passed, 0 failed',
      0,
    ],
    [
      'tests fail',
      [
        [check(4, 0), 0],
        [jest(9, 1), 1],
      ],
      '13 passed, 1 failed',
      1,
    ],
    [
      'a step and a suite fail',
      [
        [check(3, 1), 1],
        [jest(9, 0, 2), 1],
      ],
      '12 passed, 3 failed',
      1,
    ],
    [
      'jest crashes',
      [
        [check(4, 0), 0],
        [undefined, 134],
      ],
      '4 passed, 1 failed',
      1,
    ],
    [
      'a report is truncated',
      [
        ['{"passed": 4', 0],
        [jest(1, 0), 0],
      ],
      '1 passed, 1 failed',
      1,
    ],
    [
      'a part fails and its report shows no failure',
      [
        [check(4, 0), 1],
        [jest(1, 0), 0],
      ],
      '5 passed, 1 failed',
      1,
    ],
  ])('have the totals and the exit status when %s', (_, parts, line, status) => {
    expect(sum(parts)).toEqual({ lines: ['0 skipped', line], status });
  });

  test('name each skipped test before the result', () => {
    const assertionResults = [
      { fullName: 'one passes', status: 'passed' },
      { fullName: 'two needs root', status: 'pending' },
      { fullName: 'three', status: 'todo' },
    ];
    const name = resolve(import.meta.dirname, '../../e2e/some.test.ts');
    const report = { ...jest(1, 0), testResults: [{ name, assertionResults }] };
    expect(sum([[report, 0]])).toEqual({
      lines: [
        '2 skipped:',
        '  test/e2e/some.test.ts: two needs root',
        '  test/e2e/some.test.ts: three',
        '1 passed, 0 failed',
      ],
      status: 0,
    });
  });
});
