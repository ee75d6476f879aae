/**
 * Runs recorded EventBridge pattern cases against the embedded matcher.
 * Usage: node scripts/conformance-event-patterns.ts CASES.json
 * Prints one JSON line for each case and one with totals. The exit code is 0 if every case matches.
 */
import { readFileSync } from 'node:fs';
import { checkPatternCase, type PatternCase } from '../test/conformance/pattern-case.ts';
import { reportLines, totals } from '../test/conformance/report.ts';

const [file] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write('usage: conformance-event-patterns.ts CASES.json\n');
  process.exit(2);
}
const cases = JSON.parse(readFileSync(file, 'utf8')) as PatternCase[];
const results = cases.map(checkPatternCase);
process.stdout.write(reportLines(results));
process.exitCode = totals(results).wrong === 0 ? 0 : 1;
