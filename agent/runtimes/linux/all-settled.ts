/**
 * Waits for all tasks, then rejects with the first failure. Unlike with `Promise.all`, no task still runs when the caller
 * starts to clean up.
 */
export const allSettled = async (tasks: readonly Promise<unknown>[]): Promise<void> => {
  const failed = (await Promise.allSettled(tasks)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
};
