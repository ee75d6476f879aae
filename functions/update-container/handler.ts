import type { UpdateContainerRequest } from '../../core/contract/container.ts';
import { toRuntimeType } from '../../core/contract/primitives.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { getContainerNow, resolveContainerId } from '../../store/containers.ts';
import { type ContainerRecord, toContainer } from '../../store/records.ts';
import type { Table } from '../../store/table.ts';
import { decideAgain, nextContainer, replaceContainer, type Stamp } from '../../store/transition.ts';
import { answerDryRun, answerResource } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { checkRevision } from '../shared/http/preconditions.ts';
import { notFound } from '../shared/http/validate.ts';

/** @throws ConflictError `not-supported-yet` for another runtime type than the container has */
const checkRuntimeType = ({ view }: ContainerRecord, wanted: string | undefined): void => {
  if (wanted === undefined || toRuntimeType(wanted) === view.runtimeType) return;
  throw new ConflictError('not-supported-yet', 'This version does not convert containers.', {
    suggestion: `Create a container with runtimeType "${toRuntimeType(wanted)}" in its place.`,
  });
};

/** The container with what the request changes; the same one if that is nothing. */
const changed = (
  before: ContainerRecord,
  { labels, restartPolicy }: UpdateContainerRequest,
  stamp: Stamp,
): ContainerRecord => {
  const { view } = before;
  const wanted = { labels: labels ?? view.labels, restartPolicy: restartPolicy ?? view.spec.restartPolicy };
  const current = { labels: view.labels, restartPolicy: view.spec.restartPolicy };
  if (JSON.stringify(wanted) === JSON.stringify(current)) return before;
  const spec = { ...view.spec, restartPolicy: wanted.restartPolicy };
  return nextContainer(before, { view: { labels: wanted.labels, spec } }, stamp);
};

export const createHandler = (dependencies: HttpDependencies & { readonly table: Table }): LambdaHandler => {
  const { table, now, newId } = dependencies;

  const update: RouteHandler<'updateContainer'> = async (request) => {
    const { tenant, actor } = request.identity;
    const id = await resolveContainerId(table, tenant, request.params.idOrName);
    return decideAgain(async () => {
      const before = id && (await getContainerNow(table, tenant, id));
      if (!before) throw notFound();
      checkRevision(request.ifMatch, before.revision);
      checkRuntimeType(before, request.body.runtimeType);
      const moment = now();
      const after = changed(before, request.body, { at: moment.toISOString(), actor });
      if (request.dryRun)
        return answerDryRun(
          `change ${after === before ? 'nothing' : 'labels and restart policy'} of container "${before.view.name}"`,
        );
      const answer = answerResource(toContainer(after, moment));
      if (after !== before)
        await table.transact([replaceContainer(before, after), ...request.remember(answer)], newId());
      return answer;
    });
  };

  return createHttpHandler({ updateContainer: update }, dependencies);
};
