import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkEntry, checkLayer } from '../../../agent/runtimes/linux/image/check-layer.ts';

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-layers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const LIMITS = { bytes: 64 * 1024 * 1024, entries: 1_000 };

/** The sum of the header's bytes, with spaces in place of the checksum. */
const checksumOf = (block: Buffer): string => {
  block.fill(' ', 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  return `${sum.toString(8).padStart(6, '0')}\0 `;
};
/** Builds a tar entry by hand, because tar does not create hostile archives. */
const entry = (name: string, { kind = '0', link = '', size = 0 } = {}): Buffer => {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write(size.toString(8).padStart(11, '0'), 124);
  block.write(kind, 156);
  block.write(link, 157);
  block.write('ustar\0', 257);
  block.write(checksumOf(block), 148);
  return Buffer.concat([block, Buffer.alloc(Math.ceil(size / 512) * 512)]);
};
const layer = (name: string, ...entries: Buffer[]): string => {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([...entries, Buffer.alloc(1024)]));
  return path;
};
const check = (path: string, limits = LIMITS) => checkLayer(path, { bytes: 0, entries: 0 }, limits);

describe('the layers of an image', () => {
  test.each([
    ['an absolute path', entry('/etc/cron.d/x')],
    ['a path with ..', entry('a/../../etc/x')],
    ['a hard link to an absolute path', entry('x', { kind: '1', link: '/etc/shadow' })],
    ['a hard link with ..', entry('x', { kind: '1', link: '../../etc/shadow' })],
    ['a symbolic link out of the image', entry('a/x', { kind: '2', link: '../../../etc' })],
    ['a long name with ..', Buffer.concat([longName(`${'a/'.repeat(80)}../../x/../..`), entry('short')])],
    ['an absolute path in a pax header', Buffer.concat([pax('path', '/etc/x'), entry('short')])],
    ['a size that is not a number', withChecksum(entry('x').fill('9', 124, 136))],
  ])('with %s are refused', async (what, bytes) => {
    await expect(check(layer(what, bytes))).rejects.toMatchObject({
      code: 'validation-failed',
      message: expect.stringMatching(
        what.startsWith('a size') ? /cannot be unpacked/ : /absolute path|has the path|links to/,
      ),
    });
  });

  test.each([
    ['a path longer than the kernel accepts', 'x'.repeat(4_097), 'file', '', /more than 4096 characters/],
    ['a link longer than that', 'x', 'symlink', '/y'.repeat(4_096), /more than 4096 characters/],
    ['folders that take quadratic time to unpack', 'a/'.repeat(130), 'directory', '', /128 nested folders/],
  ])('with %s are refused', (_, name, kind, link, why) => {
    expect(() => checkEntry(name, kind, link)).toThrow(why);
    expect(() => checkEntry(name.slice(0, 256), kind, link.slice(0, 4_096))).not.toThrow();
  });

  test('with an invalid header checksum are refused', async () => {
    const bytes = entry('x');
    bytes[0] = 0x79;
    await expect(check(layer('checksum', bytes))).rejects.toThrow(/cannot be unpacked/);
  });

  test.each([
    ['bin/busybox', 'file', ''],
    ['./etc/', 'directory', ''],
    ['bin', 'symlink', 'usr/bin'],
    ['usr/bin/x', 'symlink', '../lib/x'],
    ['etc/mtab', 'symlink', '/proc/self/mounts'],
    ['a..b/c...', 'file', ''],
  ])('may have %s (%s → %s)', (name, kind, link) => {
    expect(() => checkEntry(name, kind, link)).not.toThrow();
  });

  test('that unpack to more than the limit are refused while they are read', async () => {
    const path = join(folder, 'bomb.gz');
    writeFileSync(
      path,
      gzipSync(Buffer.concat([entry('zeros', { size: 80 * 1024 * 1024 }), Buffer.alloc(1024)])),
    );
    await expect(check(path)).rejects.toThrow(/more than/);
  });

  test.each([
    ['of more than a megabyte', [paxOf('x', 'comment', 'y'.repeat(1_500_000))], /more than 1048576 bytes/],
    ['with many keys', [paxOf('x', ...keys(300))], /more than 256 keys/],
    [
      'with many keys in a global one',
      [paxOf('g', ...keys(300)), paxOf('x', 'a', 'b')],
      /more than 256 keys/,
    ],
    ['without end', Array.from({ length: 40 }, () => paxOf('x', ...keys(3_000))), /more than 1048576 bytes/],
  ])(
    'with headers %s are refused: they would stop the agent while it parses them',
    async (what, headers, why) => {
      await expect(check(layer(what, ...headers, entry('x')))).rejects.toMatchObject({
        code: 'validation-failed',
        message: expect.stringMatching(why),
      });
    },
  );

  test('with many long headers are refused', async () => {
    const one = Buffer.concat([paxOf('x', 'comment', 'y'.repeat(900_000)), entry('x')]);
    const path = layer('long-headers', ...Array.from({ length: 80 }, () => one));
    await expect(check(path, { ...LIMITS, bytes: 1024 ** 3 })).rejects.toThrow(
      /headers have more than 67108864/,
    );
  });

  test('that are missing are refused', async () => {
    await expect(check(join(folder, 'missing'))).rejects.toMatchObject({
      code: 'validation-failed',
      message: 'The image is refused: a part of it is missing',
    });
  });

  test('are no longer read once the import is cancelled', async () => {
    const cancelled = AbortSignal.abort(new TypeError('never mind'));
    const read = checkLayer(layer('cancelled', entry('x')), { bytes: 0, entries: 0 }, LIMITS, cancelled);
    await expect(read).rejects.toThrow('never mind');
  });

  test('with too many files are refused', async () => {
    const many = Array.from({ length: 50 }, (_, index) => entry(`f${index}`));
    await expect(check(layer('many', ...many), { ...LIMITS, entries: 49 })).rejects.toThrow(/49 files/);
    await check(layer('enough', ...many), { ...LIMITS, entries: 50 });
  });

  test('with any damage are read or refused, without other effects', async () => {
    const whole = join(folder, 'whole');
    execFileSync('tar', [
      '-cf',
      whole,
      '-C',
      import.meta.dirname,
      'image-layers.test.ts',
      'main-runs.test.ts',
    ]);
    const bytes = readFileSync(whole);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(bytes.length),
        async (changes, length) => {
          const damaged = Buffer.from(bytes.subarray(0, length));
          for (const [at, byte] of changes) if (at < length) damaged[at] = byte;
          const path = join(folder, 'damaged');
          writeFileSync(path, damaged);
          const outcome = await check(path).then(
            () => 'read',
            (error: unknown) => (error as { code?: unknown }).code,
          );
          expect(['read', 'validation-failed']).toContain(outcome);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('created by tar are accepted, with and without compression', async () => {
    const plain = join(folder, 'tar');
    execFileSync('tar', ['-cf', plain, '-C', import.meta.dirname, '.']);
    await check(plain);
    const packed = join(folder, 'tgz');
    execFileSync('tar', ['-czf', packed, '-C', import.meta.dirname, '.']);
    await check(packed);
  });
});

function longName(name: string): Buffer {
  const data = Buffer.alloc(Math.ceil((name.length + 1) / 512) * 512);
  data.write(name);
  return Buffer.concat([entry('././@LongLink', { kind: 'L', size: name.length + 1 }).subarray(0, 512), data]);
}

function pax(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  const record = `${rest.length + 2}${rest}`;
  const data = Buffer.alloc(512);
  data.write(record);
  return Buffer.concat([entry('PaxHeaders/x', { kind: 'x', size: record.length }).subarray(0, 512), data]);
}

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => [`key${index}`, 'value']).flat();
}

/** A header of pairs of keys and values: for one entry (`x`), or for all that follow (`g`). */
function paxOf(kind: string, ...pairs: string[]): Buffer {
  const records = pairs.flatMap((key, index) =>
    index % 2 === 0 ? [record(key, pairs[index + 1] ?? '')] : [],
  );
  const data = Buffer.from(records.join(''));
  const header = entry('PaxHeaders/x', { kind, size: data.length }).subarray(0, 512);
  return Buffer.concat([header, data, Buffer.alloc(Math.ceil(data.length / 512) * 512 - data.length)]);
}

/** A record's length includes the digits of the length. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const digits = String(rest.length + String(rest.length).length).length;
  return `${rest.length + digits}${rest}`;
}

function withChecksum(block: Buffer): Buffer {
  block.write(checksumOf(block), 148);
  return block;
}
