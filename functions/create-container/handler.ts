import type { CreateContainerRequest } from '../../core/contract/container.ts';
import { CREATE_CONTAINER_ROUTES } from '../../core/contract/http/routes/create-container.ts';
import { ConflictError, ValidationError } from '../../core/domain/errors.ts';
import { addCommand, type CommandRecord, type SignCommand } from '../../store/commands.ts';
import {
  type ContainerRecord,
  createContainer,
  findContainerId,
  isId,
  nameTaken,
} from '../../store/containers.ts';
import { getHost } from '../../store/hosts.ts';
import { getImage, type ImageRecord } from '../../store/images.ts';
import type { OperationRecord } from '../../store/operations.ts';
import type { Table } from '../../store/table.ts';
import { acceptDirectly } from '../../workflow/operation/direct-operation.ts';
import { newOperation } from '../../workflow/operation/new-operation.ts';
import { type Accepted, planPlacement } from '../../workflow/placement/place-container.ts';
import { previewPlacement } from '../../workflow/placement/preview-placement.ts';
import type { Push } from '../shared/hosts/push.ts';
import { wakeHost } from '../shared/hosts/wake-host.ts';
import { answerDryRun, answerOperation } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { pointerTo } from '../shared/http/issues.ts';
import { type StartWorkflow, startAccepted } from '../shared/steps/start-workflow.ts';
import { newContainer } from './new-container.ts';

interface CreateContainerDependencies extends HttpDependencies {
  readonly table: Table;
  readonly startWorkflow: StartWorkflow;
  readonly sign: SignCommand;
  readonly push: Push;
}

interface Created {
  readonly answer: Answer;
  readonly operation: OperationRecord;
  /** For the host, if no execution runs the operation. */
  readonly command: CommandRecord | null;
}

const checkName = (name: string | undefined): void => {
  if (name === undefined || !isId(name)) return;
  const detail = 'Must not look like an id, because routes accept an id or a name.';
  throw new ValidationError('The request is not valid.', {
    errors: [{ pointer: pointerTo('body', 'name'), detail }],
  });
};

/** @throws ConflictError `image-not-found` */
const requireImage = async (table: Table, tenant: string, name: string): Promise<ImageRecord> => {
  const image = await getImage(table, tenant, name);
  if (image !== undefined) return image;
  throw new ConflictError('image-not-found', `The catalogue has no image "${name}".`, {
    suggestion: 'List the images with GET /v1/images, or import it on a host with POST /v1/images.',
    context: { image: name },
  });
};

/** @throws ConflictError `host-not-found` if the requested host does not exist */
const checkHost = async (table: Table, tenant: string, hostId: string | undefined): Promise<void> => {
  if (hostId === undefined || (await getHost(table, tenant, hostId)) !== undefined) return;
  throw new ConflictError('host-not-found', 'No host with this id is enrolled.', {
    suggestion: 'See GET /v1/hosts, or omit placement.hostId to let placement choose a host.',
    context: { hostId },
  });
};

const describe = (request: CreateContainerRequest, name: string): string =>
  `create container "${name}" of image "${request.image}"${request.start === true ? ' and start it' : ''}`;

export const createHandler = (dependencies: CreateContainerDependencies): LambdaHandler => {
  const { table, newId, now, startWorkflow, sign, push } = dependencies;

  const preview = async (
    body: CreateContainerRequest,
    container: ContainerRecord,
    operation: OperationRecord,
  ): Promise<Answer> => {
    const { name } = container.view;
    const holder = await findContainerId(table, container.tenant, name);
    if (holder !== undefined) throw nameTaken(name, holder);
    return answerDryRun(describe(body, name), await previewPlacement(dependencies, { operation, container }));
  };

  const create: RouteHandler<'createContainer'> = async (request) => {
    const { tenant, actor } = request.identity;
    checkName(request.body.name);
    await requireImage(table, tenant, request.body.image);
    await checkHost(table, tenant, request.body.placement?.hostId);
    const moment = now();
    const container = newContainer(request.body, {
      tenant,
      actor,
      id: newId(),
      operationId: newId(),
      now: moment,
    });
    const operation = newOperation(container, {
      id: container.view.activeOperationId ?? newId(),
      kind: 'create',
      actor,
      parameters: { start: request.body.start === true },
      now: moment,
    });
    if (request.dryRun) return preview(request.body, container, operation);
    const write = async ({ reserve, ...accepted }: Accepted): Promise<Created | null> => {
      const direct = await acceptDirectly(sign, accepted, moment);
      const given = { ...accepted, ...(direct && { operation: direct.operation }) };
      const answer = answerOperation(202, given.container, given.operation, moment);
      const remember = [...(direct ? [addCommand(direct.command)] : []), ...request.remember(answer)];
      const created = await createContainer(table, { ...given, reserve, remember, token: newId() });
      return created ? { answer, operation: given.operation, command: direct?.command ?? null } : null;
    };
    const placed = await planPlacement(dependencies, { container, operation });
    const created = (placed && (await write(placed))) ?? (await write({ container, operation }));
    if (created === null) throw new TypeError('A container without a reservation was not created');
    if (created.command !== null) await wakeHost({ table, push, logger: request.logger }, created.command);
    else await startAccepted(startWorkflow, created.operation, request.logger);
    return created.answer;
  };

  return createHttpHandler(CREATE_CONTAINER_ROUTES, { createContainer: create }, dependencies);
};
