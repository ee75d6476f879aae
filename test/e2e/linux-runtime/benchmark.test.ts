import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { COMMANDS } from '../../../scripts/bootstrap/commands.mjs';
import { canHostLinux } from '../../helpers/linux-host.ts';
import { findTraces, NO_TRACES } from '../../helpers/linux-leaks.ts';

jest.setTimeout(600_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const ROOT = new URL('../../..', import.meta.url).pathname;
const ROWS = [
  'bare `runc run` of the same image and command',
  'Default, no network',
  'Default, switch NAT',
  'HyperV from the pool, no network',
  'HyperV from the pool, switch NAT',
  'HyperV, a new clone',
  'HyperV, booted',
  'exec in Default (runc)',
  'exec in HyperV',
  'conversion of a running container, Default → HyperV',
  'conversion of a running container, HyperV → Default',
];

/** Tests that the benchmark runs and prints all rows. The values are not tested. */
real('npm run bench:runtime', () => {
  test('measures every row, writes its report and its values, and removes all resources', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
    const [report, values] = [join(folder, 'report.md'), join(folder, 'values.json')];
    const child = spawn(process.execPath, [...(COMMANDS['bench:runtime']?.args ?? [])], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 300_000,
      env: {
        ...{ ...process.env, NODE_OPTIONS: '', BENCH_ROUNDS: '1', BENCH_CROWDS: '2', BENCH_STEADY: '2' },
        ...{ BENCH_REPORT: report, BENCH_VALUES: values },
      },
    });
    let said = '';
    child.stderr.on('data', (data) => {
      said += data.toString();
    });
    const [code] = await once(child, 'close');
    expect(code === 0 ? '' : said).toBe('');
    const text = readFileSync(report, 'utf8');
    const measured = JSON.parse(readFileSync(values, 'utf8'));
    for (const row of ROWS) {
      const line = text.split('\n').find((one) => one.startsWith(`| ${row} |`));
      expect([row, line?.split('|').slice(2, 5).map(Number)]).toEqual([
        row,
        [expect.any(Number), expect.any(Number), 1],
      ]);
      expect([row, line]).toEqual([row, expect.not.stringContaining('NaN')]);
      expect([row, measured[row]]).toEqual([row, [expect.any(Number)]]);
    }
    expect(text).toMatch(/^\| 3 s \| 2 \| [\d.]+ ms \| [\d.]+ ms \| \d \| 0 \|$/m);
    expect(text).toMatch(/^\| 2 \| \d+\.\d s \| \d+\.\d\d s \| \d+ MB \|$/m);
    expect(text).toMatch(/^\| the same, idle \| \d+ MB \| \d+ MB \| ≤ 45 MB \|$/m);
    // The report has a row for docker if dockerd is installed, and otherwise a notice with the reason.
    if (!existsSync('/usr/sbin/dockerd')) expect(said).toContain('`docker run` is not measured');
    for (const host of ['pooled', 'cloned', 'booted', 'steady'])
      expect(await findTraces(join(ROOT, '.bulkhead', 'bench-host', host))).toEqual(NO_TRACES);
    rmSync(folder, { recursive: true, force: true });
  });
});
if (!possible) test.todo('cannot run on this machine');
