/** Runs each habit of a client, and prints its result as a line of JSON. JavaScript, because it runs beside the client's packages. */
const LIMIT_MS = 60_000;

/** @param {Record<string, () => Promise<unknown>>} habits */
export const runHabits = async (habits) => {
  for (const [name, act] of Object.entries(habits)) {
    // The timer also keeps the process alive: testcontainers does not wait for its log streams.
    const late = new Promise((_, reject) => {
      setTimeout(() => reject(new Error('not within its time limit')), LIMIT_MS);
    });
    const error = await Promise.race([act(), late]).then(
      () => undefined,
      (cause) => String(cause?.message ?? cause),
    );
    process.stdout.write(`${JSON.stringify({ name, passed: error === undefined, error })}\n`);
  }
  process.exit(0);
};

/** @returns {void} */
export const expect = (isSo, what) => {
  if (!isSo) throw new Error(`unexpected: ${JSON.stringify(what)}`);
};
