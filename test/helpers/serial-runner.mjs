import { createRequire } from 'node:module';

const TestRunner = createRequire(import.meta.url)('jest-runner').default;

/**
 * Runs one test file at a time, after those of other runners: tests that start and kill a whole cloud and count leftovers
 * need the machine for themselves.
 */
export default class SerialRunner extends TestRunner {
  isSerial = true;
}
