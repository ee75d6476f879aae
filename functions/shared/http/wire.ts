import { createTable, type Table } from '../../../store/table.ts';
import { createDynamoDbClient } from '../clients.ts';
import { systemDependencies } from '../dependencies.ts';
import type { Environment } from '../environment.ts';
import { createLogger, logUnreadable } from '../observability/logger.ts';
import { createMetrics } from '../observability/metrics.ts';
import type { HttpDependencies } from './create-http-handler.ts';

/** Environment keys of every function behind the HTTP API. */
export const HTTP_ENVIRONMENT = ['table', 'tenantClaim', 'scopeClaim', 'fairShare'] as const;

type HttpEnvironment = Pick<Environment, (typeof HTTP_ENVIRONMENT)[number] | 'logLevel'>;

/** The dependencies of a function behind the HTTP API, from its environment. */
export const wireHttp = ({
  table,
  tenantClaim,
  scopeClaim,
  fairShare,
  logLevel,
}: HttpEnvironment): HttpDependencies & { readonly table: Table } => {
  const logger = createLogger({ level: logLevel, now: systemDependencies.now });
  return {
    ...systemDependencies,
    claims: { tenantClaim, scopeClaim },
    fairShare,
    logger,
    metrics: createMetrics(systemDependencies),
    table: createTable({
      client: createDynamoDbClient(),
      tableName: table,
      onUnreadable: logUnreadable(logger),
      ...systemDependencies,
    }),
  };
};
