import { createRequire } from 'node:module';

const TestRunner = createRequire(import.meta.url)('jest-runner').default;

/**
 * One test file at a time, after those of other runners: whoever starts a whole cloud, kills it and counts what is
 * left wants the machine for itself.
 */
export default class SerialRunner extends TestRunner {
  isSerial = true;
}
