import type { WorkflowDependencies } from '../../workflow/dependencies.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { StartFailure, Tasks } from '../../workflow/tasks.ts';
import type { CloseConnection } from '../shared/hosts/close-connection.ts';
import type { Push } from '../shared/hosts/push.ts';
import type { Metrics } from '../shared/observability/metrics.ts';
import type { CommandSigning } from '../shared/secrets/command-signing.ts';

export interface HostMessageDependencies extends WorkflowDependencies, CommandSigning {
  readonly tasks: Tasks;
  readonly startFailure: StartFailure;
  readonly push: Push;
  readonly close: CloseConnection;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly heartbeatSeconds: number;
  readonly leaseSeconds: number;
}
