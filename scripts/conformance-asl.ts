/**
 * Runs recorded Amazon States Language executions in the embedded Step Functions.
 * Usage: node scripts/conformance-asl.ts CASES.json
 * Prints one JSON line for each case and one with totals. The exit code is 0 if every case matches.
 */
import { readFileSync } from 'node:fs';
import { type AslCase, checkAslCase } from '../test/conformance/asl-case.ts';
import { type CaseResult, reportLines, totals } from '../test/conformance/report.ts';

const [file] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write('usage: conformance-asl.ts CASES.json\n');
  process.exit(2);
}
const cases = JSON.parse(readFileSync(file, 'utf8')) as AslCase[];
const results: CaseResult[] = [];
for (const recorded of cases) results.push(await checkAslCase(recorded));
process.stdout.write(reportLines(results));
process.exitCode = totals(results).wrong === 0 ? 0 : 1;
