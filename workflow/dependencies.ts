import type { Problem, ProblemCode } from '../core/contract/problem.ts';
import type { ErrorDetails } from '../core/domain/errors.ts';
import type { Table } from '../store/table.ts';

/**
 * What commit and settle, the two ways to end an operation, depend on.
 *
 * Invariants
 * - One transaction ends the operation, changes its container's state, releases capacity and hands the container over
 *   to a waiting removal, if there is one. Each part is conditional on the revision that was read.
 * - A duplicate or late invocation changes nothing, and neither does one for an operation that has lost its container.
 */
export interface WorkflowDependencies {
  readonly table: Table;
  readonly now: () => Date;
  readonly newId: () => string;
  readonly problem: (code: ProblemCode, detail: string, details?: ErrorDetails) => Problem;
}
