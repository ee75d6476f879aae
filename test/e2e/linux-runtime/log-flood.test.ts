import { statSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import { containerPaths, createLayout } from '../../../agent/runtimes/linux/layout.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { type LogItem, SESSION_LIMITS } from '../../../core/contract/session.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
const LOG_BYTES = 4 * 1024 * 1024;
const LINES = 4_000;
const NUMBERS = Array.from({ length: LINES }, (_, index) => String(index + 1));

real('the log of a container', () => {
  const host = new SharedLinuxHost('log-flood');
  const make = (runtimeType: RuntimeType, command = ['sleep', '600']) =>
    container({ runtimeType, command, switchName: 'none' });
  const ended = (one: AssignedContainer) =>
    until(async () => (await inspectContainer(host.runtime, one.id))?.process?.endedAt != null);
  const pages = async (one: AssignedContainer, cursor?: string) => {
    const items: LogItem[] = [];
    for (let at = cursor, more = true; more; ) {
      const page = await host.runtime.readLog(one.id, at === undefined ? {} : { cursor: at });
      expect(Buffer.byteLength(JSON.stringify(page.items))).toBeLessThanOrEqual(SESSION_LIMITS.logPageBytes);
      items.push(...page.items);
      at = page.nextCursor;
      more = page.more;
    }
    return items;
  };

  test.each(TYPES)('%s: an endless `yes` does not delay other containers', async (type) => {
    const [flood, neighbour] = [make(type, ['yes']), make(type)];
    for (const one of [flood, neighbour]) await host.up(one);
    const { log } = containerPaths(createLayout(host.folder), flood.id);
    const size = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    await until(() => size(`${log}.1`) > 0);
    for (let round = 0; round < 5; round += 1) {
      expect(await host.sh(neighbour, 'echo unharmed')).toBe('unharmed');
      expect((await host.runtime.listProcesses(neighbour.id)).length).toBeGreaterThan(0);
      expect((await host.runtime.readLog(neighbour.id, {})).items).toEqual([]);
      const { items, more } = await host.runtime.readLog(flood.id, { tail: 100 });
      expect([items.length >= 100, new Set(items.map(({ text }) => text)), more]).toEqual([
        true,
        new Set(['y']),
        expect.any(Boolean),
      ]);
    }
    const another = make(type, ['sh', '-c', 'echo started; sleep 600']);
    await host.up(another);
    await until(async () => (await host.runtime.readLog(another.id, {})).items[0]?.text === 'started');
    for (const path of [log, `${log}.1`]) expect(size(path)).toBeLessThanOrEqual(LOG_BYTES + 64 * 1024);
  });

  test.each(TYPES)('%s: 4,000 lines at once are paged and followed completely', async (type) => {
    const one = make(type, ['sh', '-c', `while [ ! -e /go ]; do sleep 0.1; done; seq 1 ${LINES}`]);
    await host.up(one);
    const attached = await host.runtime.attach(one.id, { logs: true, terminal: false });
    const followed: Buffer[] = [];
    attached.onOutput((_, data) => {
      followed.push(data);
      attached.consumed(data.length);
    });
    await host.sh(one, 'touch /go');
    expect(await attached.exited).toBe(0);
    await ended(one);
    expect(Buffer.concat(followed).toString()).toBe(`${NUMBERS.join('\n')}\n`);
    const items = await pages(one);
    // A pause within a line divides it into two entries.
    const logged = items.map(({ text, partial }) => `${text}${partial ? '' : '\n'}`).join('');
    expect(logged).toBe(`${NUMBERS.join('\n')}\n`);
    // In a utility VM times have a resolution of milliseconds, so many lines have the same time.
    if (type === 'HyperV') expect(new Set(items.map(({ at }) => at)).size).toBeLessThan(LINES);
  });

  test.each(TYPES)('%s: NUL bytes and an unfinished line of megabytes are logged', async (type) => {
    const one = make(type, [
      'sh',
      '-c',
      "printf 'a\\0b\\n'; head -c 2000000 /dev/zero | tr '\\0' x; echo; echo end",
    ]);
    await host.up(one);
    await ended(one);
    const items = await pages(one);
    expect(items[0]?.text).toBe('a\0b');
    expect(items.at(-1)?.text).toBe('end');
    const long = items.slice(1, -1);
    expect(long.map(({ text }) => text).join('')).toBe('x'.repeat(2_000_000));
    expect(long.slice(0, -1).every(({ partial }) => partial === true)).toBe(true);
  });
});
if (!possible) test.todo('cannot run on this machine');
