/**
 * `npm run test:clients`: runs clients that others wrote against the bridge, in front of the embedded cloud with this machine as
 * a host. Suites can be named: `npm run test:clients -- dockerode`. A client that cannot be installed is skipped with a notice.
 *
 * `expected.json` lists the tests that must pass. Others need features that Bulkhead refuses by name (docs/docker.md). With
 * `CLIENTS_RECORD=1` the list is written instead.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { canHostLinux } from '../helpers/linux-host.ts';
import { openBridge } from './open-bridge.ts';
import { SUITES, type Suite, type TestResult } from './suites.ts';

const EXPECTED = new URL('expected.json', import.meta.url);
const report = (line: string) => process.stdout.write(`${line}\n`);
const readExpected = (): Record<string, string[]> => JSON.parse(readFileSync(EXPECTED, 'utf8'));

const record = (name: string, results: readonly TestResult[]): void => {
  const passed = results.filter((one) => one.passed).map((one) => one.name);
  writeFileSync(EXPECTED, `${JSON.stringify({ ...readExpected(), [name]: passed.sort() }, null, 2)}\n`);
};

/** @returns the number of tests that should have passed and did not */
const judge = (name: string, results: readonly TestResult[]): number => {
  const expected = readExpected()[name] ?? [];
  const passed = results.filter((one) => one.passed);
  report(`${name}: ${passed.length} of ${results.length} passed, ${expected.length} expected`);
  for (const one of results.filter((result) => !result.passed))
    report(`  ${expected.includes(one.name) ? 'FAILED' : 'not supported'}  ${one.name}: ${one.error ?? ''}`);
  const names = new Set(passed.map((one) => one.name));
  return expected.filter((one) => !names.has(one)).length;
};

const runSuite = async ({ name, prepare, run }: Suite, host: string): Promise<number> => {
  const missing = await prepare();
  if (missing !== undefined) {
    report(`${name} is skipped, because it cannot be installed: ${missing}`);
    return 0;
  }
  const results = await run(host);
  if (process.env.CLIENTS_RECORD) record(name, results);
  return judge(name, results);
};

const main = async (): Promise<void> => {
  if (!(await canHostLinux())) return;
  const wanted = process.argv.slice(2);
  const bridge = await openBridge();
  try {
    let failures = 0;
    for (const suite of SUITES)
      if (wanted.length === 0 || wanted.includes(suite.name)) failures += await runSuite(suite, bridge.host);
    process.exitCode = failures === 0 ? 0 : 1;
  } finally {
    await bridge.close();
  }
};

await main();
