import { expect, test } from '@jest/globals';
import { Bridge, type BridgeSettings } from '../../../../cli/docker/bridge.ts';
import { waitForRemoval } from '../../../../cli/docker/exits.ts';

const { signal } = new AbortController();
const gone = (exitCodes: ReadonlyMap<string, number>): Bridge =>
  ({
    exitCodeOf: (id: string) => exitCodes.get(id),
    now: 0,
    find: async () => undefined,
  }) as unknown as Bridge;

test('the exit code of a container is available after the bridge has removed it', async () => {
  expect(await waitForRemoval(gone(new Map([['one', 5]])), 'one', signal)).toEqual({ exitCode: 5 });
});

test('a container that another client removed has no exit code', async () => {
  expect(await waitForRemoval(gone(new Map([['other', 5]])), 'one', signal)).toEqual({ exitCode: 0 });
});

test('the bridge keeps the newest thousand exit codes', () => {
  const bridge = new Bridge({ client: {} } as unknown as BridgeSettings);
  for (let code = 0; code <= 1_000; code++) bridge.keepExitCode(`container ${code}`, code);
  expect(bridge.exitCodeOf('container 0')).toBeUndefined();
  expect([bridge.exitCodeOf('container 1'), bridge.exitCodeOf('container 1000')]).toEqual([1, 1_000]);
});
