import { createRequire } from 'node:module';

const TestRunner = createRequire(import.meta.url)('jest-runner').default;

/** Runs one test file at a time, after the files of other runners. */
export default class SerialRunner extends TestRunner {
  isSerial = true;
}
