import type { Problem, ProblemCode } from '../core/contract/problem.ts';
import type { ErrorDetails } from '../core/domain/errors.ts';
import type { Table } from '../store/table.ts';

/**
 * What the two ends of an operation, commit and settle, have in common.
 *
 * Invariants
 * - One transaction ends an operation, moves its container, moves the capacity and hands over to the removal that
 *   waits, if there is one. Each part is conditional on what was read.
 * - What was invoked twice, late, or for an operation that no longer has the container changes nothing.
 */
export interface WorkflowDependencies {
  readonly table: Table;
  readonly now: () => Date;
  readonly newId: () => string;
  readonly problem: (code: ProblemCode, detail: string, details?: ErrorDetails) => Problem;
}
