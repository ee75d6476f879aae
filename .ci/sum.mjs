/** `node .ci/sum.mjs FILE:EXIT …` adds up the results of `npm run check` and of jest. Exits with 1 if anything failed. */
import { readFileSync } from 'node:fs';

/** Of one part: `{passed, failed}` from the check, or jest's own report. */
const countsOf = (report) =>
  report.numTotalTests === undefined
    ? { passed: report.passed, failed: report.failed }
    : {
        passed: report.numPassedTests,
        // A suite that cannot be loaded reports no failed tests.
        failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
      };

const resultOf = (argument) => {
  const [, file, exit] = /^(.*):(\d+)$/.exec(argument) ?? [];
  try {
    const counts = countsOf(JSON.parse(readFileSync(file, 'utf8')));
    const silentFailure = exit !== '0' && counts.failed === 0;
    return { passed: counts.passed, failed: counts.failed + (silentFailure ? 1 : 0) };
  } catch {
    return { passed: 0, failed: 1 };
  }
};

const results = process.argv.slice(2).map(resultOf);
const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
console.log(`${total('passed')} passed, ${total('failed')} failed`);
process.exitCode = total('failed') === 0 ? 0 : 1;
