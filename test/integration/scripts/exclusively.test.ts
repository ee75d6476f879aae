import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { exclusively } from '../../../scripts/setup/linux-runtime/exclusively.ts';

const MODULE = new URL('../../../scripts/setup/linux-runtime/exclusively.ts', import.meta.url).href;

test('only one call at a time runs', async () => {
  const name = randomUUID();
  let running = 0;
  const counts = await Promise.all(
    Array.from({ length: 5 }, () =>
      exclusively(name, async () => {
        running += 1;
        await new Promise(setImmediate);
        running -= 1;
        return running;
      }),
    ),
  );
  expect(counts).toEqual([0, 0, 0, 0, 0]);
});

test('a failed call does not block the next one', async () => {
  const name = randomUUID();
  const failed = exclusively(name, () => Promise.reject(new TypeError('failed')));
  const next = exclusively(name, async () => 'done');
  await expect(failed).rejects.toThrow('failed');
  expect(await next).toBe('done');
});

test('a killed process does not block other processes', async () => {
  const name = randomUUID();
  const script = `
    const { exclusively } = await import('${MODULE}');
    await exclusively('${name}', () => new Promise(() => process.stdout.write('holds')));
  `;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  await once(holder.stdout, 'data');
  const next = exclusively(name, async () => 'done');
  holder.kill('SIGKILL');
  expect(await next).toBe('done');
});
