/**
 * `node .ci/sum.mjs FILE:EXIT …` adds up the results of `npm run check` and of jest, and names skipped tests before
 * the last line. Exits with 1 if anything failed.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const NOT_RUN = ['pending', 'skipped', 'todo', 'disabled'];

/** `file: test` of each test that did not run, of jest's report. */
const skippedOf = ({ testResults = [] }) =>
  testResults.flatMap(({ name, assertionResults = [] }) =>
    assertionResults
      .filter(({ status }) => NOT_RUN.includes(status))
      .map(({ fullName }) => `${relative(process.cwd(), name)}: ${fullName}`),
  );

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
    const report = JSON.parse(readFileSync(file, 'utf8'));
    const counts = countsOf(report);
    const silentFailure = exit !== '0' && counts.failed === 0;
    return {
      passed: counts.passed,
      failed: counts.failed + (silentFailure ? 1 : 0),
      skipped: skippedOf(report),
    };
  } catch {
    return { passed: 0, failed: 1, skipped: [] };
  }
};

const results = process.argv.slice(2).map(resultOf);
const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
const skipped = results.flatMap((result) => result.skipped);
console.log([`${skipped.length} skipped${skipped.length > 0 ? ':' : ''}`, ...skipped].join('\n  '));
console.log(`${total('passed')} passed, ${total('failed')} failed`);
process.exitCode = total('failed') === 0 ? 0 : 1;
