import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  eventually,
  type LocalCloud,
  listAll,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../helpers/local-cloud.ts';
import { scaled } from '../helpers/scaled.ts';

const ROOM = scaled({ ci: 60, whole: 300 });
const ASKED = scaled({ ci: 100, whole: 500 });
const REMOVED = scaled({ ci: 10, whole: 50 });
const OF_ONE_NAME = scaled({ ci: 40, whole: 200 });
const MEMORY_MB = 16;

let cloud: LocalCloud;
beforeAll(async () => {
  cloud = await startLocalCloud({
    simulate: 3,
    arguments: ['--simulate-memory-mb', String(ROOM * MEMORY_MB), '--simulate-cpus', '1000'],
  });
  await waitForHosts(cloud, 3);
}, 120_000);
afterAll(async () => {
  await cloud?.stop();
}, 60_000);

const BUSY = 503;

/**
 * Retries like a client. On a slow machine API Gateway times out a request after 30 s. It is repeated with the same key, and
 * takes effect once, whether the first attempt succeeded or not.
 */
const create = async (body: object) => {
  const request = { body, headers: { 'idempotency-key': randomUUID() } };
  for (;;) {
    const answer = await cloud.call('POST', '/v1/containers', request);
    if (answer.status !== BUSY) return answer;
    await sleep(1_000);
  }
};

describe('parallel creates', () => {
  test(`exactly one of ${OF_ONE_NAME} parallel creates with the same name succeeds`, async () => {
    const answers = await Promise.all(
      Array.from({ length: OF_ONE_NAME }, () => create({ name: 'only-one', image: 'nanoserver' })),
    );
    const winners = answers.filter(({ status }) => status === 202);
    expect(winners).toHaveLength(1);
    for (const { status, body } of answers.filter((answer) => answer !== winners[0]))
      expect([status, body.code]).toEqual([409, 'name-taken']);
    const { body } = await cloud.call('GET', '/v1/containers?name=only-one');
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual([winners[0]?.body.container.id]);
  }, 120_000);

  test(`with capacity for ${ROOM}, ${ROOM} of ${ASKED} containers run and the rest wait with a reason until capacity is free`, async () => {
    const answers = await Promise.all(
      Array.from({ length: ASKED }, (_, at) =>
        create({
          name: `crowd-${at}`,
          image: 'mini',
          command: ['sleep', '100000'],
          resources: { memoryMB: MEMORY_MB, cpus: 0.01 },
          start: true,
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));

    const crowd = async () =>
      (await listAll(cloud, '/v1/containers')).filter(({ name }) => name.startsWith('crowd-'));
    const waiting = async () =>
      (await listAll(cloud, '/v1/operations')).filter(
        ({ state, reason }) => state === 'Pending' || reason !== null,
      );
    await eventually(async () => {
      const running = (await crowd()).filter(({ state }) => state === 'Running').length;
      const reasons = (await waiting()).map(({ reason }) => reason);
      const told = reasons.length === ASKED - ROOM && reasons.every((reason) => reason !== null);
      return running === ROOM && told ? true : undefined;
    }, 240);
    for (const operation of await waiting()) expect(operation.reason).toMatch(/waiting for capacity: .*MiB/);

    const running = (await crowd()).filter(({ state }) => state === 'Running');
    const removals = await Promise.all(
      running.slice(0, REMOVED).map(({ id }) => cloud.call('DELETE', `/v1/containers/${id}?force=true`)),
    );
    for (const { body } of removals)
      expect((await waitForOperation(cloud, body.operation.id, 120)).state).toBe('Succeeded');
    await eventually(async () => {
      const running = (await crowd()).filter(({ state }) => state === 'Running').length;
      return running === ROOM && (await waiting()).length === ASKED - ROOM - REMOVED ? true : undefined;
    }, 120);
    const linux = (await listAll(cloud, '/v1/hosts')).find((host) => host.os.family === 'linux');
    expect(linux.allocated.memoryMB).toBe(ROOM * MEMORY_MB);
  }, 600_000);
});
