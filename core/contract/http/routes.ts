import type { Route } from './route.ts';
import { COMPUTE_PROCESSES_ROUTES } from './routes/compute-processes.ts';
import { CONTROL_CONTAINER_ROUTES } from './routes/control-container.ts';
import { CONVERSION_RULES_ROUTES } from './routes/conversion-rules.ts';
import { CREATE_CONTAINER_ROUTES } from './routes/create-container.ts';
import { EVENTS_ROUTES } from './routes/events.ts';
import { HOST_ENROLLMENT_ROUTES } from './routes/host-enrollment.ts';
import { HOSTS_ROUTES } from './routes/hosts.ts';
import { IMAGES_ROUTES } from './routes/images.ts';
import { LIST_PROCESSES_ROUTES } from './routes/list-processes.ts';
import { META_ROUTES } from './routes/meta.ts';
import { OPERATIONS_ROUTES } from './routes/operations.ts';
import { READ_CONTAINERS_ROUTES } from './routes/read-containers.ts';
import { SESSIONS_ROUTES } from './routes/sessions.ts';
import { UPDATE_CONTAINER_ROUTES } from './routes/update-container.ts';

export { HTTP_FUNCTIONS, type HttpFunction, type Route, SCOPES, type Scope } from './route.ts';
export { AcceptedSchema, DryRunSchema } from './routes/answers.ts';

const GROUPS = [
  CREATE_CONTAINER_ROUTES,
  READ_CONTAINERS_ROUTES,
  UPDATE_CONTAINER_ROUTES,
  CONTROL_CONTAINER_ROUTES,
  LIST_PROCESSES_ROUTES,
  SESSIONS_ROUTES,
  COMPUTE_PROCESSES_ROUTES,
  HOSTS_ROUTES,
  HOST_ENROLLMENT_ROUTES,
  IMAGES_ROUTES,
  OPERATIONS_ROUTES,
  EVENTS_ROUTES,
  CONVERSION_RULES_ROUTES,
  META_ROUTES,
] as const;

/**
 * All routes of the API. The synthesized API, the validation of requests, the OpenAPI document and the tests' matrices
 * are derived from this table. A function imports only the file of its own routes, so that its bundle has no other schemas.
 */
export const ROUTES: readonly Route[] = GROUPS.flat();

type Definition = (typeof GROUPS)[number][number];
export type OperationId = Definition['operationId'];
/** The route with the given name, typed with its schemas. */
export type RouteOf<Id extends OperationId> = Extract<Definition, { readonly operationId: Id }>;
