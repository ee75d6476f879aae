import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import {
  eventually,
  type LocalCloud,
  listAll,
  startLocalCloud,
  temporaryStateDirectory,
} from '../helpers/local-cloud.ts';
import { scaled } from '../helpers/scaled.ts';

/**
 * Repeatedly kills all processes (API, table, workflows, agents) with `kill -9` while containers are created. An environment
 * variable can increase the number of kills for a longer run.
 */
const KILLS = Number(process.env.BULKHEAD_TEST_KILLS ?? scaled({ ci: 10, whole: 50 }));
const CREATES = scaled({ ci: 40, whole: 100 });
const MEMORY_MB = 64;
const ENDED = ['Succeeded', 'Failed', 'Cancelled'];

/** The generator mulberry32, with a seed, so that a failure can be reproduced. */
const seeded = (seed: number) => {
  let counter = seed;
  return () => {
    counter += 0x6d2b79f5;
    let state = Math.imul(counter ^ (counter >>> 15), counter | 1);
    state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
    return ((state ^ (state >>> 14)) >>> 0) / 4294967296;
  };
};

const create = async (cloud: LocalCloud, at: number): Promise<string | undefined> => {
  try {
    const { status, body } = await cloud.call('POST', '/v1/containers', {
      headers: { 'idempotency-key': `power-loss-${at}` },
      body: {
        name: `c${at}`,
        image: 'mini',
        command: ['sleep', '100000'],
        runtimeType: at % 2 === 0 ? 'Default' : 'HyperV',
        resources: { memoryMB: MEMORY_MB, cpus: 0.1 },
        start: true,
      },
    });
    return status === 202 ? body.operation.id : undefined;
  } catch {
    return undefined;
  }
};

test(
  `${KILLS} kills during ${CREATES} creates: every operation ends once, no capacity is lost, no resource is duplicated`,
  async () => {
    const seed = Number(process.env.BULKHEAD_TEST_SEED ?? Date.now() % 1_000_000);
    const random = seeded(seed);
    const stateDir = temporaryStateDirectory();
    const accepted = new Map<number, string>();
    const start = (port?: number) =>
      startLocalCloud({ stateDir, simulate: 3, ...(port === undefined ? {} : { port }) });
    let cloud = await start();
    const port = Number(new URL(cloud.apiUrl).port);

    for (let kill = 0; kill < KILLS; kill += 1) {
      const lifetime = 100 + random() * 1500;
      const stopAt = Date.now() + lifetime;
      const missing = Array.from({ length: CREATES }, (_, at) => at).filter((at) => !accepted.has(at));
      // Creates a few at a time between all kills, so that every kill interrupts some work.
      const batch = missing.slice(0, Math.ceil(missing.length / (KILLS - kill)));
      await Promise.race([
        Promise.all(
          batch.map(async (at) => {
            await sleep(random() * lifetime * 0.8);
            const id = await create(cloud, at);
            if (id !== undefined) accepted.set(at, id);
          }),
        ),
        sleep(lifetime),
      ]);
      await sleep(Math.max(0, stopAt - Date.now()));
      await cloud.kill();
      cloud = await start(port);
    }

    for (let at = 0; at < CREATES; at += 1) {
      const id = await eventually(() => create(cloud, at));
      if (accepted.has(at)) expect(id).toBe(accepted.get(at));
      accepted.set(at, id);
    }

    const operations = await eventually(async () => {
      const all = await listAll(cloud, '/v1/operations');
      return all.every(({ state }) => ENDED.includes(state)) ? all : undefined;
    }, 300);
    expect([seed, operations.length]).toEqual([seed, CREATES]);
    expect(new Set(operations.map(({ id }) => id))).toEqual(new Set(accepted.values()));

    const containers = await listAll(cloud, '/v1/containers');
    expect(containers.map(({ name }) => name).sort()).toEqual(
      Array.from({ length: CREATES }, (_, at) => `c${at}`).sort(),
    );
    const running = containers.filter(({ state }) => state === 'Running');
    const succeeded = operations.filter(({ state }) => state === 'Succeeded');
    expect(running.map(({ id }) => id).sort()).toEqual(
      succeeded.map(({ containerId }) => containerId).sort(),
    );

    const computeProcesses = await listAll(cloud, '/v1/compute-processes');
    expect(computeProcesses.map(({ containerId }) => containerId).sort()).toEqual(
      running.map(({ id }) => id).sort(),
    );

    for (const host of await listAll(cloud, '/v1/hosts')) {
      const placed = running.filter(({ hostId }) => hostId === host.id);
      const memory = placed.reduce(
        (sum, { runtimeType }) => sum + MEMORY_MB + (runtimeType === 'HyperV' ? host.utilityVmOverheadMB : 0),
        0,
      );
      expect([host.name, host.allocated.memoryMB]).toEqual([host.name, memory]);
      const { body } = await cloud.call('GET', `/v1/hosts/${host.id}/processes`);
      const sleeps = body.items.filter(({ commandLine }: { commandLine: string }) =>
        commandLine.includes('sleep 100000'),
      );
      expect(sleeps).toHaveLength(placed.filter(({ runtimeType }) => runtimeType === 'Default').length);
      const workers = body.items.filter(({ name }: { name: string }) => name.startsWith('vmwp'));
      expect(workers).toHaveLength(placed.filter(({ runtimeType }) => runtimeType === 'HyperV').length);
    }
    await cloud.stop();
    rmSync(stateDir, { recursive: true, force: true });
  },
  30 * 60_000,
);
