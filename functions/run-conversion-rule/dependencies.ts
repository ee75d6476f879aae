import type { EventTenants } from '../../core/contract/event-tenants.ts';
import type { Table } from '../../store/table.ts';
import type { Logger } from '../../workflow/logger.ts';
import type { Tasks } from '../../workflow/tasks.ts';
import type { Dependencies } from '../shared/dependencies.ts';
import type { StartWorkflow } from '../shared/steps/start-workflow.ts';

export interface RunDependencies extends Pick<Dependencies, 'now' | 'randomBytes'> {
  readonly table: Table;
  readonly logger: Logger;
  readonly tasks: Tasks;
  readonly startWorkflow: StartWorkflow;
  readonly eventTenants: EventTenants;
}
