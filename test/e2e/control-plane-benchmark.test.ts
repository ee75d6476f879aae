import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { COMMANDS } from '../../scripts/bootstrap/commands.mjs';
import { canHostLinux } from '../helpers/linux-host.ts';

jest.setTimeout(600_000);
const isHost = await canHostLinux();
const ROOT = new URL('../..', import.meta.url).pathname;
const CREATES = 20;

/** Tests that the benchmark runs and prints all rows. The values are not tested. */
test('npm run bench:control-plane measures every row', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
  const report = join(folder, 'report.md');
  const child = spawn(process.execPath, [...(COMMANDS['bench:control-plane']?.args ?? [])], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 300_000,
    env: {
      ...{ ...process.env, NODE_OPTIONS: '', BENCH_CREATES: String(CREATES), BENCH_IDLE_SECONDS: '0' },
      ...{ BENCH_ROUNDS: isHost ? '1' : '0', BENCH_REPORT: report },
    },
  });
  let said = '';
  child.stderr.on('data', (data) => {
    said += data.toString();
  });
  const [code] = await once(child, 'close');
  expect(code === 0 ? '' : said).toBe('');
  const text = readFileSync(report, 'utf8');
  expect(text).toMatch(
    /^\| creates a second, 10 requests at a time \(8\) \| \d+\.\d \| ≥ 40: (met|missed) \|$/m,
  );
  expect(text).toMatch(
    /^\| burst of 10 creates until all containers run \| \d+\.\d s \| ≤ 12 s: (met|missed) \|$/m,
  );
  expect(text).toMatch(/^\| CPU time of all processes for each container, .+ \| \d+\.\d ms \| \|$/m);
  const parts = String.raw`npm and the bootstrap \d+, embedded cloud \d+, DynamoDB engine \d+, agents \d+`;
  expect(text).toMatch(
    new RegExp(String.raw`^\| one simulated host, idle for 0 s \| \d+ MB \| ${parts} \|`, 'm'),
  );
  expect(text).toMatch(
    new RegExp(String.raw`^\| three simulated hosts, after ${CREATES} creates \| \d+ MB \| ${parts} \|`, 'm'),
  );
  for (const type of isHost ? ['Default', 'HyperV'] : [])
    expect(text).toMatch(
      new RegExp(String.raw`^\| ${type} (\| \d+ ){4}\| -?\d+ ms \| ≤ 60 ms: (met|missed) \|$`, 'm'),
    );
  rmSync(folder, { recursive: true, force: true });
});
