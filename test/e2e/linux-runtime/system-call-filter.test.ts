import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { canHostLinux } from '../../helpers/linux-host.ts';

const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const ROOT = new URL('../../..', import.meta.url).pathname;
const SOURCES = ['system_calls.c', 'denied_32.c', 'denied_64.c'].map((name) =>
  join(ROOT, 'agent/guest', name),
);

const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;
const [EPERM, ENOSYS] = [1, 38];
const X32 = 0x4000_0000;
/** The flags for new namespaces; `clone` is refused with any of them. */
const NEW_NAMESPACES = [17, 25, 26, 27, 28, 29, 30].map((bit) => 2 ** bit);
/** Constants from `linux/filter.h`. */
const CODES = { load: 0x20, jump: 0x05, equal: 0x15, notBelow: 0x35, anyOf: 0x45, answer: 0x06 };
/** Offsets in `struct seccomp_data` of the call's number, its architecture and the low half of its first argument. */
const OFFSETS = { number: 0, architecture: 4, argument: 16 };

interface Call {
  readonly architecture: number;
  readonly number: number;
  readonly argument: number;
}
interface Table {
  readonly architecture: number;
  readonly clone: number;
  readonly clone3: number;
  readonly denied: ReadonlySet<number>;
}
type Instruction = readonly [code: number, ifSo: number, otherwise: number, value: number];

const conditions: Readonly<Record<number, (loaded: number, value: number) => boolean>> = {
  [CODES.equal]: (loaded, value) => loaded === value,
  [CODES.notBelow]: (loaded, value) => loaded >= value,
  [CODES.anyOf]: (loaded, value) => (loaded & value) !== 0,
};

/** Runs the filter as the kernel does. */
const run = (filter: readonly Instruction[], call: Call): { answer: number; steps: number } => {
  let loaded = 0;
  for (let at = 0, steps = 1; ; at++, steps++) {
    const [code, ifSo, otherwise, value] = filter[at] ?? [CODES.answer, 0, 0, -1];
    if (code === CODES.answer) return { answer: value, steps };
    if (code === CODES.jump) at += value;
    else if (code === CODES.load)
      loaded =
        value === OFFSETS.number
          ? call.number
          : value === OFFSETS.architecture
            ? call.architecture
            : call.argument;
    else at += conditions[code]?.(loaded, value) ? ifSo : otherwise;
  }
};

const expected = ({ clone, clone3, denied }: Table, { number, argument }: Call): number => {
  if (number >= X32 || number === clone3) return ERRNO | ENOSYS;
  if (denied.has(number)) return ERRNO | EPERM;
  const isRefused = number === clone && NEW_NAMESPACES.some((flag) => (argument & flag) !== 0);
  return isRefused ? ERRNO | EPERM : ALLOW;
};

real('the system call filter in a utility VM', () => {
  const tables: Table[] = [];
  const filter: Instruction[] = [];

  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-filter-'));
    const program = join(folder, 'print-filter');
    execFileSync('gcc', ['-o', program, join(ROOT, 'test/helpers/print-filter.c'), ...SOURCES]);
    for (const line of execFileSync(program, { encoding: 'utf8' }).trim().split('\n')) {
      const [first = '', ...rest] = line.split(' ');
      const numbers = rest.map(Number);
      const [architecture = 0, clone = 0, clone3 = 0, ...denied] = numbers;
      if (first === 'table') tables.push({ architecture, clone, clone3, denied: new Set(denied) });
      else filter.push([Number(first), architecture, clone, clone3]);
    }
    rmSync(folder, { recursive: true });
  });

  const numbers = [
    ...Array.from({ length: 2_048 }, (_, number) => number),
    X32 - 1,
    X32,
    X32 + 56,
    0xffff_ffff,
  ];

  test('returns the result from the tables for every system call of both architectures', () => {
    expect(tables).toHaveLength(2);
    for (const table of tables)
      for (const number of numbers)
        for (const argument of [0, 0x11, ...NEW_NAMESPACES]) {
          const call = { architecture: table.architecture, number, argument };
          expect([call, run(filter, call).answer]).toEqual([call, expected(table, call)]);
        }
  });

  test('refuses every system call of another architecture', () => {
    for (const number of numbers)
      expect(run(filter, { architecture: 0xc000_00b7, number, argument: 0 }).answer).toBe(ERRNO | ENOSYS);
  });

  // The kernel runs the filter for every system call whenever a process installs it.
  test('needs at most 16 steps', () => {
    const steps = tables.flatMap(({ architecture }) =>
      numbers.map((number) => run(filter, { architecture, number, argument: 0 }).steps),
    );
    expect(Math.max(...steps)).toBeLessThanOrEqual(16);
  });
});
if (!possible) test.todo('cannot run on this machine');
