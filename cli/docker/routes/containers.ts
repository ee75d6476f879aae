import { ProblemError } from '../../../core/client/index.ts';
import type { CreateContainerRequest } from '../../../core/contract/container.ts';
import { escapeControls } from '../../output/text.ts';
import type { Bridge } from '../bridge.ts';
import { DockerError } from '../errors.ts';
import { toDockerId } from '../ids.ts';
import { toInspect, toSummary } from '../translate/containers.ts';
import { toCreateRequest } from '../translate/create.ts';
import { CONTAINER_FILTERS, checkFilters, matchesFilters, parseFilters } from '../translate/filters.ts';
import { type SizedBody, sizeOf } from '../translate/size.ts';
import { isRunning } from '../translate/state.ts';
import { isTrue } from '../translate/time.ts';
import { type Handle, route } from './route.ts';

const list: Handle = async ({ bridge }, exchange) => {
  const filters = parseFilters(exchange.query.get('filters'));
  checkFilters(filters, CONTAINER_FILTERS);
  const limit = Number(exchange.query.get('limit') ?? 0);
  // As in Docker: a filter by state, or a limit, applies to all containers.
  const all = isTrue(exchange.query.get('all')) || limit > 0 || 'status' in filters || 'exited' in filters;
  const shown = (await bridge.containers()).filter(
    (container) => (all || isRunning(container)) && matchesFilters(container, filters),
  );
  const now = bridge.now;
  exchange.json(
    200,
    (limit > 0 ? shown.slice(0, limit) : shown).map((one) => toSummary(one, now)),
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

/** The name without the tag `latest`: the catalogue may have the image without a tag. */
const withoutLatest = (image: string): string | undefined =>
  image.endsWith(':latest') ? image.slice(0, -':latest'.length) : undefined;

const requestContainer = async (bridge: Bridge, body: CreateContainerRequest) => {
  const call = (image: string) => bridge.client.call('createContainer', { body: { ...body, image } });
  try {
    return await call(body.image);
  } catch (error) {
    const bare = withoutLatest(body.image);
    const isMissing = error instanceof ProblemError && error.code === 'image-not-found';
    if (isMissing && bare !== undefined) return await call(bare);
    throw error;
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

const create: Handle = async ({ bridge, runs }, exchange) => {
  const body = toCreateRequest(exchange.body, exchange.query.get('name'));
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
  exchange.json(200, toInspect(container, { openStdin: runs.hasInput(container.id) }));
};

const stillRunning = (reference: string): DockerError =>
  new DockerError(
    409,
    `cannot remove container "${reference}": container is running: stop the container before removing or force remove`,
  );

const remove: Handle = async ({ bridge }, exchange) => {
  const reference = exchange.params.id ?? '';
  if (isTrue(exchange.query.get('link'))) throw new DockerError(501, '--link is not supported by Bulkhead.');
  const container = await bridge.container(reference);
  const force = isTrue(exchange.query.get('force'));
  if (!force && isRunning(container)) throw stillRunning(reference);
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
  route('GET', '/containers/json', list),
  route('POST', '/containers/create', create),
  route('GET', '/containers/{id}/json', inspect),
  route('DELETE', '/containers/{id}', remove),
  route('GET', '/containers/{id}/top', top),
];
