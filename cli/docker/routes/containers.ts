import { ProblemError } from '../../../core/client/index.ts';
import type { CreateContainerRequest } from '../../../core/contract/container.ts';
import { escapeControls } from '../../output/text.ts';
import type { Bridge } from '../bridge.ts';
import { DockerError, unsupported } from '../errors.ts';
import { toDockerId } from '../ids.ts';
import { allImages, checkPlatform, findImage, imageOf, readImage } from '../images.ts';
import { toInspect, toSummary } from '../translate/containers.ts';
import { OPTIONS, removedVariables, restartPolicy, toCreateRequest } from '../translate/create.ts';
import {
  CONTAINER_FILTERS,
  checkFilters,
  matchesFilters,
  onlyValue,
  parseFilters,
} from '../translate/filters.ts';
import { IMAGE_LABEL } from '../translate/labels.ts';
import { refuseMembers } from '../translate/members.ts';
import { type SizedBody, sizeOf } from '../translate/size.ts';
import { dockerState, isRunning } from '../translate/state.ts';
import { isTrue } from '../translate/time.ts';
import { type Handle, route } from './route.ts';

const list: Handle = async ({ bridge }, exchange) => {
  const filters = parseFilters(exchange.query.get('filters'));
  checkFilters(filters, CONTAINER_FILTERS);
  const limit = Math.max(0, Number(exchange.query.get('limit') ?? 0) || 0);
  // As in Docker: a filter by state, or a limit, applies to all containers.
  const all = isTrue(exchange.query.get('all')) || limit > 0 || 'status' in filters || 'exited' in filters;
  const createdOf = async (name: 'before' | 'since'): Promise<string | undefined> => {
    // The parameters are of clients before 1.22.
    const reference = onlyValue(filters, name) ?? exchange.query.get(name);
    return reference ? (await bridge.container(reference)).createdAt : undefined;
  };
  const [before, since] = [await createdOf('before'), await createdOf('since')];
  const shown = (await bridge.containers()).filter(
    (container) =>
      (all || before !== undefined || since !== undefined || isRunning(container)) &&
      (before === undefined || container.createdAt < before) &&
      (since === undefined || container.createdAt > since) &&
      matchesFilters(container, filters),
  );
  const now = bridge.now;
  const digests = new Map((await allImages(bridge)).map(({ name, digest }) => [name, digest]));
  exchange.json(
    200,
    (limit > 0 ? shown.slice(0, limit) : shown).map((one) => toSummary(one, now, digests.get(one.image))),
  );
};

const nameTaken = async (bridge: Bridge, name: string): Promise<DockerError> => {
  const holder = await bridge.find(name);
  const by = holder === undefined ? '' : ` by container "${toDockerId(holder.id)}"`;
  return new DockerError(
    409,
    `Conflict. The container name "/${name}" is already in use${by}. ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  );
};

const requestContainer = async (bridge: Bridge, body: CreateContainerRequest) => {
  const call = (image: string) => {
    const labels = image === body.image ? {} : { labels: { ...body.labels, [IMAGE_LABEL]: body.image } };
    return bridge.client.call('createContainer', { body: { ...body, image, ...labels } });
  };
  try {
    return await call(body.image);
  } catch (error) {
    const isMissing = error instanceof ProblemError && error.code === 'image-not-found';
    const image = isMissing ? await findImage(bridge, body.image) : undefined;
    // The catalogue has it under another name, or it was requested by its id.
    if (image === undefined) throw error;
    return await call(image.name);
  }
};

const toDockerMessage = async (
  bridge: Bridge,
  error: unknown,
  body: CreateContainerRequest,
): Promise<unknown> => {
  if (!(error instanceof ProblemError)) return error;
  if (error.code === 'name-taken') return nameTaken(bridge, body.name ?? '');
  if (error.code === 'image-not-found') return new DockerError(404, `No such image: ${body.image}`);
  return error;
};

/** @throws {DockerError} if a variable that must be removed may be in the image */
const checkVariables = async (bridge: Bridge, image: string, removed: readonly string[]): Promise<void> => {
  if (removed.length === 0) return;
  const { name } = await imageOf(bridge, image);
  const config = (await readImage(bridge, { name }))?.config;
  const [found] = removed.filter((one) => config?.env.some((set) => set.startsWith(`${one}=`)) ?? true);
  if (found !== undefined) throw unsupported(`Removing the variable "${found}" of the image`);
};

const update: Handle = async ({ bridge }, exchange) => {
  const body = (exchange.body ?? {}) as Readonly<Record<string, unknown>>;
  refuseMembers(body, ['RestartPolicy'], OPTIONS);
  const { id } = await bridge.container(exchange.params.id ?? '');
  const policy = body.RestartPolicy as Readonly<Record<string, unknown>> | undefined;
  if (policy?.Name)
    await bridge.client.call('updateContainer', {
      params: { idOrName: id },
      body: { restartPolicy: restartPolicy(policy) },
    });
  exchange.json(200, { Warnings: [] });
};

const create: Handle = async ({ bridge, runs }, exchange) => {
  const body = toCreateRequest(exchange.body, exchange.query.get('name'));
  const platform = exchange.query.get('platform') ?? '';
  if (platform !== '') checkPlatform(await imageOf(bridge, body.image), platform);
  await checkVariables(bridge, body.image, removedVariables(exchange.body));
  try {
    const accepted = await requestContainer(bridge, body);
    if (!('operation' in accepted)) return;
    await bridge.waitForSuccess(accepted.operation, exchange.signal);
    const { id } = accepted.container;
    bridge.rememberCreated(accepted.container);
    const { OpenStdin, HostConfig } = exchange.body as { OpenStdin?: unknown; HostConfig?: SizedBody };
    if (OpenStdin === true) runs.recordInput(id);
    const { rows, columns } = sizeOf(HostConfig ?? {});
    if (rows !== undefined && columns !== undefined) runs.resize(id, columns, rows);
    exchange.json(201, { Id: toDockerId(id), Warnings: [] });
  } catch (error) {
    throw await toDockerMessage(bridge, error, body);
  }
};

const inspect: Handle = async ({ bridge, runs }, exchange) => {
  const container = await bridge.container(exchange.params.id ?? '');
  const image = await readImage(bridge, { name: container.image });
  exchange.json(200, toInspect(container, { openStdin: runs.hasInput(container.id), image }));
};

const stillRunning = (reference: string): DockerError =>
  new DockerError(
    409,
    `cannot remove container "${reference}": container is running: stop the container before removing or force remove`,
  );

const remove: Handle = async ({ bridge }, exchange) => {
  const reference = exchange.params.id ?? '';
  const container = await bridge.container(reference);
  const force = isTrue(exchange.query.get('force'));
  if (!force && (isRunning(container) || dockerState(container) === 'restarting'))
    throw stillRunning(reference);
  await bridge.remove(container.id, { force, signal: exchange.signal });
  exchange.empty(204);
};

const top: Handle = async ({ bridge }, exchange) => {
  const options = exchange.query.get('ps_args');
  if (options !== null && options !== '' && options !== '-ef')
    throw new DockerError(501, `Options of ps (${options}) are not supported by Bulkhead.`);
  const container = await bridge.container(exchange.params.id ?? '');
  if (!isRunning(container))
    throw new DockerError(409, `container ${toDockerId(container.id)} is not running`);
  const { items } = await bridge.client.call('listContainerProcesses', {
    params: { idOrName: container.id },
  });
  exchange.json(200, {
    Titles: ['UID', 'PID', 'TIME', 'CMD'],
    Processes: items.map(({ userName, pid, cpuSeconds, commandLine, name }) => [
      escapeControls(userName),
      String(pid),
      cpuTime(cpuSeconds),
      escapeControls(commandLine === '' ? name : commandLine),
    ]),
  });
};

const cpuTime = (seconds: number): string => new Date(Math.floor(seconds) * 1000).toISOString().slice(11, 19);

export const CONTAINER_ROUTES = [
  route('GET', '/containers/json', list, { size: '--size' }),
  route('POST', '/containers/create', create),
  route('POST', '/containers/{id}/update', update),
  route('GET', '/containers/{id}/json', inspect, { size: '--size' }),
  // `v` removes anonymous volumes, and there are none.
  route('DELETE', '/containers/{id}', remove, { link: '--link' }),
  route('GET', '/containers/{id}/top', top),
];
