/**
 * `npm run check [-- --json FILE]`: all checks that do not run Bulkhead. All steps run, two at a time, even
 * after a failure. Then one line is printed for each step. Exits with 1 when any step failed.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runSteps } from './check/run-steps.ts';
import { STEPS } from './check/steps.ts';

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const root = new URL('..', import.meta.url).pathname;
const results = await runSteps(STEPS, { root, print: (text) => process.stdout.write(text) });
const failed = results.filter((result) => !result.ok).length;

if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({ passed: results.length - failed, failed, steps: results }));
process.exitCode = failed === 0 ? 0 : 1;
