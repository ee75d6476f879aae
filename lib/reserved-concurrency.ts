import type { FunctionName } from './function-specs.ts';

/** Function → how many of its invocations run at the same time at the most, and always can. */
export type ReservedConcurrency = Readonly<Partial<Record<FunctionName, number>>>;

/**
 * For an account with Lambda's usual 1,000 concurrent executions, of which 100 must stay unreserved. What hosts and
 * workflows need is reserved, so no flood of requests takes it; what requests can hold for seconds is bounded by the same
 * means.
 */
export const RESERVED_CONCURRENCY: ReservedConcurrency = {
  // Hosts.
  'authorize-host': 20,
  'host-connection': 20,
  'host-message': 100,
  'session-frame': 50,
  // Workflows, and what starts and ends them.
  'place-container': 30,
  'dispatch-command': 50,
  'commit-operation': 30,
  'settle-operation': 20,
  'process-changes': 30,
  'admit-waiting': 10,
  sweep: 2,
  'run-conversion-rule': 50,
  // Routes that hold their function: an upper bound.
  operations: 100,
  sessions: 100,
  'list-processes': 50,
  'conversion-rules': 20,
};
