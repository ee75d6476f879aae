import { expect, test } from '@jest/globals';
import type { Bridge } from '../../../../cli/docker/bridge.ts';
import { untilRemoved } from '../../../../cli/docker/exits.ts';

const { signal } = new AbortController();
const gone = (exitCodes: ReadonlyMap<string, number>): Bridge =>
  ({ exitCodes, now: 0, find: async () => undefined }) as unknown as Bridge;

test('who looks after the bridge has removed a container is told its exit code', async () => {
  expect(await untilRemoved(gone(new Map([['one', 5]])), 'one', signal)).toEqual({ exitCode: 5 });
});

test('of one that somebody else removed unseen there is none', async () => {
  expect(await untilRemoved(gone(new Map([['other', 5]])), 'one', signal)).toEqual({ exitCode: 0 });
});
