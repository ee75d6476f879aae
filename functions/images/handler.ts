import { IMAGES_ROUTES } from '../../core/contract/http/routes/images.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import type { SignCommand } from '../../store/commands.ts';
import { createCursors } from '../../store/cursor.ts';
import { getHost } from '../../store/hosts.ts';
import {
  checkImageUnused,
  getHeldImage,
  type HeldImage,
  type IndexedImage,
  listImages,
  removeImage,
} from '../../store/images.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import type { Table } from '../../store/table.ts';
import { recordOperation } from '../../workflow/operation/begin-operation.ts';
import { newImport } from '../../workflow/operation/new-operation.ts';
import type { Push } from '../shared/hosts/push.ts';
import { answerDryRun, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { Answer, RouteHandler } from '../shared/http/exchange.ts';
import { answerPage, pagingOf } from '../shared/http/paging.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { toOperation } from '../shared/http/resources.ts';
import { notFound } from '../shared/http/validate.ts';
import { type StartWorkflow, startAccepted } from '../shared/steps/start-workflow.ts';
import { tellHosts } from './tell-hosts.ts';

interface ImagesDependencies extends HttpDependencies {
  readonly table: Table;
  readonly startWorkflow: StartWorkflow;
  readonly push: Push;
  readonly sign: SignCommand;
}

const summarize = ({ view, revision }: IndexedImage) => ({ ...view, revision });
const show = ({ image, hosts }: HeldImage) => ({ ...summarize(image), hosts, config: image.config ?? null });

export const createHandler = (dependencies: ImagesDependencies): LambdaHandler => {
  const { table, now, newId, randomBytes, startWorkflow } = dependencies;
  const cursors = createCursors(table, randomBytes);

  const list: RouteHandler<'listImages'> = async ({ identity, query }) =>
    answerPage(await listImages(table, cursors, identity.tenant, pagingOf(query)), summarize);

  const get: RouteHandler<'getImage'> = async ({ identity, params }) => {
    const found = await getHeldImage(table, identity.tenant, params.name);
    if (found === undefined) throw notFound();
    return answerResource(show(found));
  };

  const importImage: RouteHandler<'importImage'> = async ({ identity, body, dryRun, remember, logger }) => {
    const { name, hostId, source, digest } = body;
    const host = await getHost(table, identity.tenant, hostId);
    if (host === undefined)
      throw new ConflictError('host-not-found', 'No host with this id is enrolled.', {
        suggestion: 'See GET /v1/hosts.',
        context: { hostId },
      });
    if (dryRun) return answerDryRun(`import image "${name}" on host "${host.view.name}"`);
    const operation = newImport({
      tenant: identity.tenant,
      id: newId(),
      actor: identity.actor,
      imageName: name,
      hostId,
      parameters: { source, ...(digest !== undefined && { digest }) },
      now: now(),
    });
    const answer: Answer = {
      status: 202,
      headers: { location: `/v1/operations/${operation.id}` },
      body: { operation: toOperation(operation) },
    };
    await recordOperation(table, operation, remember(answer));
    await startAccepted(startWorkflow, operation, logger);
    return answer;
  };

  const remove: RouteHandler<'removeImage'> = async (request) => {
    const { identity, params, dryRun, ifMatch, remember, logger } = request;
    const answer: Answer = { status: 204 };
    const removed = await retryOnConflict(async () => {
      const found = await getHeldImage(table, identity.tenant, params.name);
      if (found === undefined) throw notFound();
      checkRevision(ifMatch, found.image.revision);
      await checkImageUnused(table, found.image);
      if (!dryRun) await removeImage(table, found, remember(answer), newId());
      return found;
    });
    const { name } = removed.image.view;
    if (dryRun)
      return answerDryRun(`remove image "${name}" from the catalogue and ${removed.hosts.length} hosts`);
    await tellHosts(dependencies, removed, logger);
    return answer;
  };

  return createHttpHandler(
    IMAGES_ROUTES,
    { listImages: list, getImage: get, importImage, removeImage: remove },
    dependencies,
  );
};
