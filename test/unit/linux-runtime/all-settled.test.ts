import { expect, test } from '@jest/globals';
import { allSettled } from '../../../agent/runtimes/linux/all-settled.ts';

test('a failure is reported only once all tasks have ended', async () => {
  const slow = Promise.withResolvers<void>();
  const events: string[] = [];
  const waited = allSettled([Promise.reject(new TypeError('first')), slow.promise]).catch((error) =>
    events.push(error.message),
  );
  void slow.promise.then(() => events.push('slow'));
  slow.resolve();
  await waited;
  expect(events).toEqual(['slow', 'first']);
});

test('the first failure in the order of the tasks is the one reported', async () => {
  const tasks = [Promise.resolve(), Promise.reject(new TypeError('a')), Promise.reject(new TypeError('b'))];
  await expect(allSettled(tasks)).rejects.toThrow('a');
});

test('it resolves when no task fails', async () => {
  await expect(allSettled([Promise.resolve(1), Promise.resolve(2)])).resolves.toBeUndefined();
});
