import { beginTestRun } from './test-run.ts';

/** Jest calls this once, before all tests. */
export default beginTestRun;
