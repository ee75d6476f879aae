import openApi from '../../docs/api/openapi.json' with { type: 'json' };
import { systemDependencies } from '../shared/dependencies.ts';
import { readEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/observability/logger.ts';
import { createMetrics } from '../shared/observability/metrics.ts';
import { createHandler } from './handler.ts';

const environment = readEnvironment(['tenantClaim', 'scopeClaim', 'fairShare']);

export const handler = createHandler({
  ...systemDependencies,
  claims: { tenantClaim: environment.tenantClaim, scopeClaim: environment.scopeClaim },
  fairShare: environment.fairShare,
  logger: createLogger({ level: environment.logLevel, now: systemDependencies.now }),
  metrics: createMetrics(systemDependencies),
  version: environment.version,
  openApi,
});
