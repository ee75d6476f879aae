/**
 * Waits for all of them, then rejects with the first failure. Unlike with `Promise.all`, nothing still runs when the
 * caller undoes what was begun.
 */
export const allSettled = async (tasks: readonly Promise<unknown>[]): Promise<void> => {
  const failed = (await Promise.allSettled(tasks)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
};
