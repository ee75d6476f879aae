import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { canHostLinux } from '../helpers/linux-host.ts';
import { codeBlocks } from '../helpers/markdown.ts';
import { runProgram, startProgram } from '../helpers/run-program.ts';

/**
 * Runs every block of `docs/local.md` with the mark `run`, in order, in bash, against a running cloud. The host is this
 * machine if it can be one, and simulated otherwise. The cloud is ephemeral, so that the host also removes its network.
 */
jest.setTimeout(180_000);
const ROOT = resolve(import.meta.dirname, '../..');
const blocks = codeBlocks('docs/local.md').filter(({ note }) => note === 'run');

interface Ready {
  readonly apiUrl: string;
  readonly token: string;
  readonly stateDir: string;
  readonly hostsReady: number;
}

let cloud: Awaited<ReturnType<typeof startProgram>>;
let ready: Ready;
/** A folder with `.bulkhead/local.json`, as a checkout has it. */
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-documents-'));

beforeAll(async () => {
  const kind = (await canHostLinux()) ? 'auto' : 'simulated';
  const options = ['--ephemeral', '--json', '--port', '0', '--host', kind, '--warm-vms', '1'];
  const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'bin/local.ts'), ...options];
  cloud = await startProgram(process.execPath, args, {});
  ready = JSON.parse(cloud.line);
  expect(ready.hostsReady).toBe(1);
  for (const name of ['package.json', 'scripts']) symlinkSync(join(ROOT, name), join(folder, name));
  symlinkSync(ready.stateDir, join(folder, '.bulkhead'));
}, 180_000);
afterAll(async () => {
  await cloud?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** An interactive shell expands aliases; a script must enable this. */
const script = (): string =>
  ['set -euo pipefail', 'shopt -s expand_aliases', ...blocks.map(({ text }) => text)].join('\n');

const containerNames = async (): Promise<readonly string[]> => {
  const response = await fetch(`${ready.apiUrl}/v1/containers`, {
    headers: { authorization: `Bearer ${ready.token}` },
  });
  const { items } = (await response.json()) as { items: readonly { name: string }[] };
  return items.map(({ name }) => name);
};

describe('docs/local.md', () => {
  test('has blocks to run', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(4);
  });

  test('every command succeeds with the described output', async () => {
    const file = join(folder, 'walk.sh');
    writeFileSync(file, script());
    const { exitCode, stdout, stderr } = await runProgram('/bin/bash', [file], {
      cwd: folder,
      env: {
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        // npm runs its scripts in the checkout, where another cloud may have left its settings.
        BULKHEAD_API_URL: ready.apiUrl,
        BULKHEAD_TOKEN: ready.token,
      },
      seconds: 150,
    });
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
    // `uname -r` in the utility VM, the list of processes, and a response over HTTP.
    expect(stdout).toMatch(/^\d+\.\d+\S*$/m);
    expect(stdout).toMatch(/^ *\d+ .* sleep *$/m);
    expect(stdout).not.toContain('"status":4');
    expect(stdout).not.toContain('"status":5');
    expect(stdout).toContain('"state":"Succeeded"');
    expect(await containerNames()).not.toContain('demo');
  });
});
