import type { WorkflowDependencies } from '../../store/workflow.ts';
import type { CloseConnection } from '../shared/close-connection.ts';
import type { CommandSigning } from '../shared/command-signing.ts';
import type { Logger } from '../shared/logger.ts';
import type { Metrics } from '../shared/metrics.ts';
import type { Push } from '../shared/push.ts';
import type { Tasks } from '../shared/tasks.ts';

export interface HostMessageDependencies extends WorkflowDependencies, CommandSigning {
  readonly tasks: Tasks;
  readonly push: Push;
  readonly close: CloseConnection;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly heartbeatSeconds: number;
  readonly leaseSeconds: number;
}
