import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { fakeApi, type Reply } from '../client/fake-api.ts';
import { ID } from '../client/records.ts';
import { run, temporaryFolder } from './harness.ts';

const AT = '2026-01-01T00:00:00.000Z';
const rule = {
  ...{
    name: 'quarantine',
    description: '',
    eventPattern: { source: ['x'] },
    select: { labels: { app: 'web' } },
  },
  ...{
    runtimeType: 'HyperV',
    maxContainers: 5,
    maxConcurrency: 2,
    cooldownSeconds: 0,
    enabled: true,
    dryRun: false,
  },
  ...{ eventRuleName: 'r', revision: 1, createdAt: AT, updatedAt: AT },
};
const ok = (body: unknown): Reply => ({ status: 200, body });
const BASE = ['rule', 'set', 'quarantine'];
const PATTERN = '{"source":["x"]}';

describe('rule', () => {
  test('set sends the complete rule with unchanged expressions', async () => {
    const { fetch, calls } = fakeApi(ok(rule));
    const words = [
      ...[...BASE, '--event-pattern', PATTERN, '--container-id', '{% $.detail.id %}', '-l', 'app=web'],
      ...[
        '--max-containers',
        '5',
        '--max-concurrency',
        '2',
        '--cooldown',
        '60',
        '--enabled',
        'no',
        '--rehearse',
      ],
    ];
    const { exitCode, stdout, stderr } = await run(words, { fetch });
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(calls[0]).toMatchObject({
      method: 'PUT',
      url: 'https://api.example.com/v1/conversion-rules/quarantine',
    });
    expect(calls[0]?.body).toEqual({
      eventPattern: { source: ['x'] },
      select: { containerId: '{% $.detail.id %}', labels: { app: 'web' } },
      ...{
        runtimeType: 'HyperV',
        maxContainers: 5,
        maxConcurrency: 2,
        cooldownSeconds: 60,
        enabled: false,
        dryRun: true,
      },
    });
    expect(stdout).toContain('Select          : labels={"app":"web"}');
  });

  test('set reads a pattern from a file', async () => {
    const file = join(temporaryFolder(), 'pattern.json');
    writeFileSync(file, PATTERN);
    const { fetch, calls } = fakeApi(ok(rule));
    await run([...BASE, '--event-pattern', `@${file}`, '--name', 'x'], { fetch });
    expect(calls[0]?.body).toMatchObject({ eventPattern: { source: ['x'] } });
  });

  test.each([
    [['--event-pattern', PATTERN]],
    [['--event-pattern', '[1]', '--name', 'x']],
    [['--event-pattern', '{', '--name', 'x']],
    [['--event-pattern', '@/nowhere', '--name', 'x']],
    [['--name', 'x']],
  ])('set %j is refused without a call to the API', async (words) => {
    const { fetch, calls } = fakeApi(ok(rule));
    expect([(await run([...BASE, ...words], { fetch })).exitCode, calls.length]).toEqual([2, 0]);
  });

  test('test shows what the rule would do', async () => {
    const containers = [
      { containerId: ID, name: 'web', runtimeType: 'Default', state: 'Running', would: 'convert', why: null },
    ];
    const answer = { matches: true, select: { name: 'web' }, reason: null, containers, truncated: false };
    const { fetch } = fakeApi(ok(answer));
    const { stdout, stderr } = await run(['rule', 'test', 'quarantine', '--event', '{}'], { fetch });
    expect([stderr, stdout]).toEqual([
      expect.stringContaining('The pattern matches the event.'),
      expect.stringContaining('web  Default'),
    ]);
  });

  test('test shows why no container is selected', async () => {
    const reason = 'The event is not of this tenant.';
    const { fetch } = fakeApi(ok({ matches: true, select: null, reason, containers: [], truncated: false }));
    const { stderr } = await run(['rule', 'test', 'quarantine', '--event', '{}'], { fetch });
    expect(stderr).toContain(reason);
  });

  test('runs lists the runs, or the containers of the newest run', async () => {
    const item = { containerId: ID, name: 'web', outcome: 'skipped', operationId: null, why: 'cooldown' };
    const counts = { matched: 1, truncated: true, converted: 0, skipped: 1, failed: 0 };
    const one = {
      id: '1',
      eventId: 'e',
      state: 'Ended',
      startedAt: AT,
      endedAt: AT,
      ...counts,
      reason: null,
      containers: [item],
    };
    const { fetch } = fakeApi(ok({ items: [one, one], nextCursor: null }));
    expect((await run(['rule', 'runs', 'quarantine'], { fetch })).stdout).toContain('stopped at the maximum');
    expect((await run(['rule', 'runs', 'quarantine', '-c'], { fetch })).stdout).toContain(
      'web  skipped cooldown',
    );
  });

  test('list and remove', async () => {
    const { fetch } = fakeApi(ok({ items: [rule], nextCursor: null }), { status: 204, body: '' });
    expect((await run(['rule', 'list'], { fetch })).stdout).toContain('quarantine Enabled HyperV');
    expect((await run(['rule', 'remove', 'quarantine'], { fetch })).stderr).toContain('was removed');
  });
});
