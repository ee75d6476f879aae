import { endTestRun } from './test-run.ts';

/** Jest calls this once, after all tests. */
export default (): void => {
  const left = endTestRun();
  if (left.length > 0)
    process.stderr.write(`Tests left these running, which were ended:\n${left.join('\n')}\n`);
};
