import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { LinuxDeps } from '../../../agent/runtimes/linux/deps.ts';
import { createLayout, vmPaths } from '../../../agent/runtimes/linux/layout.ts';
import { workerErrors } from '../../../agent/runtimes/linux/vm/worker.ts';

const VM = 'a-vm';
let folder: string;
let deps: LinuxDeps;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'errors-'));
  deps = { layout: { ...createLayout(folder), runVms: join(folder, 'vms') } } as unknown as LinuxDeps;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (text: string | Buffer) => {
  const path = vmPaths(deps.layout, VM).errors;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

describe('the messages of QEMU', () => {
  test('are its last ones, however many it has written', async () => {
    write(Buffer.concat([Buffer.alloc(8 * 1024 * 1024, 'x'), Buffer.from(`${'y'.repeat(590)}\nlast\n`)]));
    expect(await workerErrors(deps, VM)).toBe(`xxxx${'y'.repeat(590)}\nlast`);
  });

  test('have no control characters', async () => {
    write('\u001b[2Jcould not\u0007 start\n');
    expect(await workerErrors(deps, VM)).toBe('[2Jcould not start');
  });

  test('are empty if there are none', async () => {
    expect(await workerErrors(deps, VM)).toBe('');
  });
});
