import type { FunctionName } from './function-specs.ts';

/** Function → reserved concurrency: both the maximum and the guaranteed number of parallel invocations. */
export type ReservedConcurrency = Readonly<Partial<Record<FunctionName, number>>>;

/**
 * For an account with Lambda's default of 1,000 concurrent executions, of which 100 must stay unreserved. The
 * reservation protects hosts and workflows from a flood of requests, and limits functions that requests can occupy for
 * seconds.
 */
export const RESERVED_CONCURRENCY: ReservedConcurrency = {
  // Hosts.
  'authorize-host': 20,
  'host-connection': 20,
  'host-message': 100,
  'session-frame': 50,
  // Workflows, and the functions that start and end them.
  'place-container': 30,
  'dispatch-command': 50,
  'settle-operation': 20,
  'process-changes': 30,
  'admit-waiting': 10,
  sweep: 2,
  'run-conversion-rule': 50,
  // An upper bound for routes that can occupy their function for a long time.
  operations: 100,
  sessions: 100,
  'list-processes': 50,
  'conversion-rules': 20,
};
