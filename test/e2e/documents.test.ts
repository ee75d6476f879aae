import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { canHostLinux } from '../helpers/linux-host.ts';
import { type LocalCloud, startLocalCloud, waitForHosts } from '../helpers/local-cloud.ts';
import { codeBlocks } from '../helpers/markdown.ts';
import { runProgram } from '../helpers/run-program.ts';

/**
 * The walk of `docs/local.md` as a reader does it: every block with the mark `run`, in order, by bash, against a cloud
 * that runs. The host is this machine where it can be one, and simulated elsewhere.
 */
jest.setTimeout(180_000);
const ROOT = resolve(import.meta.dirname, '../..');
const blocks = codeBlocks('docs/local.md').filter(({ note }) => note === 'run');

let cloud: LocalCloud;
/** A folder with `.bulkhead/local.json`, as a checkout has it. */
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-documents-'));

beforeAll(async () => {
  const stateDir = join(folder, '.bulkhead');
  const kind = (await canHostLinux()) ? 'auto' : 'simulated';
  cloud = await startLocalCloud({ stateDir, arguments: ['--host', kind, '--warm-vms', '1'] });
  await waitForHosts(cloud, 1);
  for (const name of ['package.json', 'scripts']) symlinkSync(join(ROOT, name), join(folder, name));
}, 180_000);
afterAll(async () => {
  await cloud?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** A terminal expands aliases, and bash in a script only where it is asked to. */
const script = (): string =>
  ['set -euo pipefail', 'shopt -s expand_aliases', ...blocks.map(({ text }) => text)].join('\n');

describe('docs/local.md', () => {
  test('has blocks that run', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(4);
  });

  test('every command of the walk succeeds, with the answers that the text describes', async () => {
    const file = join(folder, 'walk.sh');
    writeFileSync(file, script());
    const { exitCode, stdout, stderr } = await runProgram('/bin/bash', [file], {
      cwd: folder,
      env: {
        PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
        // npm runs its scripts in the checkout, where another cloud may have left its settings.
        BULKHEAD_API_URL: cloud.apiUrl,
        BULKHEAD_TOKEN: cloud.token,
      },
      seconds: 150,
    });
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
    // `uname -r` in the utility VM, the list of processes, and an answer by HTTP.
    expect(stdout).toMatch(/^\d+\.\d+\S*$/m);
    expect(stdout).toMatch(/^ *\d+ .* sleep *$/m);
    expect(stdout).not.toContain('"status":4');
    expect(stdout).not.toContain('"status":5');
    expect(stdout).toContain('"state":"Succeeded"');
    const left = await cloud.call('GET', '/v1/containers');
    expect(left.body.items.map(({ name }: { name: string }) => name)).not.toContain('demo');
  });
});
