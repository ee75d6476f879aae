import { createProblem } from '../../core/domain/problems.ts';
import { createTable, type Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import { createDynamoDbClient } from './clients.ts';
import { type Dependencies, systemDependencies } from './dependencies.ts';
import { readEnvironment } from './environment.ts';
import { createLogger, logUnreadable } from './observability/logger.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';

/** The dependencies of functions without an HTTP route. */
interface InternalDependencies extends Dependencies {
  readonly table: Table;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly problem: typeof createProblem;
}

/** @param name name of the function, for its log lines */
export const createInternalDependencies = (name: string): InternalDependencies => {
  const { table: tableName, logLevel } = readEnvironment(['table']);
  const { now, sleep, random } = systemDependencies;
  const logger = createLogger({ level: logLevel, now, fields: { function: name } });
  const onUnreadable = logUnreadable(logger);
  return {
    ...systemDependencies,
    table: createTable({ client: createDynamoDbClient(), tableName, sleep, random, onUnreadable }),
    logger,
    metrics: createMetrics({ now }),
    problem: createProblem,
  };
};
