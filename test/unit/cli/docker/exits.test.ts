import { expect, test } from '@jest/globals';
import { Bridge, type BridgeSettings } from '../../../../cli/docker/bridge.ts';
import { waitForExit, waitForRemoval } from '../../../../cli/docker/exits.ts';
import { containerOf } from '../../client/records.ts';

const { signal } = new AbortController();
const gone = (exitCodes: ReadonlyMap<string, number>): Bridge =>
  ({
    exitCodeOf: (id: string) => exitCodes.get(id),
    hasRemoved: () => false,
    now: 0,
    find: async () => undefined,
  }) as unknown as Bridge;

test('the exit code of a container is available after the bridge has removed it', async () => {
  expect(await waitForRemoval(gone(new Map([['one', 5]])), 'one', signal)).toEqual({ exitCode: 5 });
});

test('a container that another client removed has no exit code', async () => {
  expect(await waitForRemoval(gone(new Map([['other', 5]])), 'one', signal)).toEqual({ exitCode: 0 });
});

test('a removal by the bridge is noticed without a request, and an end without waiting for the next poll', async () => {
  const bridge = new Bridge({ client: {}, now: () => 0 } as unknown as BridgeSettings);
  const container = containerOf({ state: 'Running', labels: { 'bulkhead.docker/auto-remove': 'true' } });
  const removed = waitForRemoval(bridge, container.id, signal, container);
  const found = [{ ...container, state: 'Off' as const, exitCode: 6, activeOperationId: null }];
  const ended = waitForExit(Object.assign(bridge, { find: async () => found[0] }), container.id, {
    ...{ after: null, signal, seen: container },
    pollMs: 2 ** 30,
  });
  bridge.ended.emit(container.id);
  expect(await ended).toEqual({ exitCode: 6 });
  bridge.keepExitCode(container.id, 6);
  Object.assign(bridge, { find: () => Promise.reject(new TypeError('a request')) });
  bridge.recordRemoval(container.id);
  expect(await removed).toEqual({ exitCode: 6 });
});

test('the bridge keeps the newest thousand exit codes', () => {
  const bridge = new Bridge({ client: {} } as unknown as BridgeSettings);
  for (let code = 0; code <= 1_000; code++) bridge.keepExitCode(`container ${code}`, code);
  expect(bridge.exitCodeOf('container 0')).toBeUndefined();
  expect([bridge.exitCodeOf('container 1'), bridge.exitCodeOf('container 1000')]).toEqual([1, 1_000]);
});
