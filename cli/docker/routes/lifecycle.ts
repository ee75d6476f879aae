import { OperationFailedError } from '../../../core/client/index.ts';
import { type Container, DEFAULT_STOP_SECONDS, MAX_STOP_SECONDS } from '../../../core/contract/container.ts';
import type { ProblemCode } from '../../../core/contract/problem.ts';
import { SIGNALS, type SignalName } from '../../../core/contract/session.ts';
import { isNotFound } from '../bridge.ts';
import { DockerError, noSuchContainer } from '../errors.ts';
import { type Exit, waitForExit, waitForRemoval } from '../exits.ts';
import { toDockerId, toUuid } from '../ids.ts';
import { toDockerError } from '../translate/error.ts';
import { STOP_TIMEOUT_LABEL } from '../translate/labels.ts';
import { isRunning } from '../translate/state.ts';
import { type Handle, route, type Services } from './route.ts';

const start: Handle = async ({ bridge, runs }, exchange) => {
  const reference = exchange.params.id ?? '';
  // A full id needs no request to find the container.
  const id = toUuid(reference) ?? (await bridge.container(reference)).id;
  const logFrom = await runs.logEnd(id);
  try {
    const answer = await bridge.client.send('startContainer', { params: { idOrName: id } });
    if (answer.status === 200 || !('operation' in answer.body)) return exchange.empty(304);
    const { container, operation } = answer.body;
    // Continues after the client disconnects, because waiting clients need the result.
    await bridge.waitForSuccess(operation);
    runs.started(container, logFrom);
  } catch (error) {
    await runs.startFailed(id);
    throw isNotFound(error) ? noSuchContainer(reference) : toDockerMessage(error);
  }
  exchange.empty(204);
};

/** The text by which docker recognizes the reason of a failed start, for its exit codes 127 and 126. */
const DOCKER_REASONS: Partial<Record<ProblemCode, string>> = {
  'program-not-found': 'executable file not found in $PATH',
  'program-not-executable': 'permission denied',
};

const toDockerMessage = (error: unknown): unknown => {
  if (!(error instanceof OperationFailedError)) return error;
  const reason = DOCKER_REASONS[error.operation.error?.code ?? 'internal'];
  return reason === undefined ? error : new DockerError(400, `${error.message}: ${reason}`);
};

const stopHandler =
  (operation: 'stopContainer' | 'restartContainer'): Handle =>
  async ({ bridge }, exchange) => {
    const container = await bridge.container(exchange.params.id ?? '');
    const seconds = Number(
      exchange.query.get('t') ?? container.labels[STOP_TIMEOUT_LABEL] ?? DEFAULT_STOP_SECONDS,
    );
    const body = { timeoutSeconds: Math.min(Math.max(0, Math.round(seconds)), MAX_STOP_SECONDS) };
    const answer = await bridge.client.send(operation, { params: { idOrName: container.id }, body });
    if (answer.status === 200 || !('operation' in answer.body)) return exchange.empty(304);
    await bridge.waitForSuccess(answer.body.operation);
    exchange.empty(204);
  };

const signalOf = (text: string | null): SignalName => {
  const given = (text ?? '').toUpperCase().replace(/^SIG/, '') || 'KILL';
  const byNumber = Object.entries(SIGNALS).find(([, number]) => String(number) === given)?.[0];
  const name = byNumber ?? given;
  if (Object.hasOwn(SIGNALS, name)) return name as SignalName;
  throw new DockerError(
    501,
    `The signal ${text} is not supported by Bulkhead. Supported: ${Object.keys(SIGNALS).join(', ')}.`,
  );
};

const notRunning = (container: Container, reference: string): DockerError =>
  new DockerError(
    409,
    `cannot kill container: ${reference}: container ${toDockerId(container.id)} is not running`,
  );

const kill: Handle = async ({ bridge, runs }, exchange) => {
  const reference = exchange.params.id ?? '';
  const container = await bridge.container(reference);
  const signal = signalOf(exchange.query.get('signal'));
  if (!isRunning(container)) throw notRunning(container, reference);
  if (signal === 'KILL') {
    const accepted = await bridge.client.call('killContainer', { params: { idOrName: container.id } });
    if ('operation' in accepted) await bridge.waitForSuccess(accepted.operation);
  } else await runs.signal(container, signal);
  exchange.empty(204);
};

const exitFor = (
  { bridge }: Services,
  container: Container,
  condition: string,
  signal: AbortSignal,
): Promise<Exit> => {
  if (condition === 'removed') return waitForRemoval(bridge, container.id, signal, container);
  // An exit before this request does not count.
  const after = condition === 'next-exit' && !isRunning(container) ? container.revision : null;
  return waitForExit(bridge, container.id, { after, signal, seen: container });
};

const wait: Handle = async (services, exchange) => {
  const { bridge } = services;
  const reference = exchange.params.id ?? '';
  const condition = exchange.query.get('condition') || 'not-running';
  if (!['not-running', 'next-exit', 'removed'].includes(condition))
    throw new DockerError(400, `invalid condition: "${condition}"`);
  const container = await (condition === 'not-running'
    ? bridge.container(reference)
    : bridge.createdOrCurrent(reference));
  // docker starts the container when it has received the headers.
  const write = exchange.stream('application/json');
  try {
    // If a start fails, the response to the start request has the reason.
    const { exitCode } = await exitFor(services, container, condition, exchange.signal);
    await write(`${JSON.stringify({ StatusCode: exitCode })}\n`);
  } catch (error) {
    if (exchange.signal.aborted) return;
    await write(`${JSON.stringify({ StatusCode: 125, Error: { Message: toDockerError(error).message } })}\n`);
  }
};

const resize: Handle = async ({ bridge, runs }, exchange) => {
  const container = await bridge.container(exchange.params.id ?? '');
  const [columns, rows] = [Number(exchange.query.get('w')), Number(exchange.query.get('h'))];
  if (columns > 0 && rows > 0) runs.resize(container.id, columns, rows);
  exchange.empty(200);
};

export const LIFECYCLE_ROUTES = [
  route('POST', '/containers/{id}/start', start, {
    checkpoint: '--checkpoint',
    'checkpoint-dir': '--checkpoint-dir',
  }),
  route('POST', '/containers/{id}/stop', stopHandler('stopContainer'), { signal: '--signal' }),
  route('POST', '/containers/{id}/restart', stopHandler('restartContainer'), { signal: '--signal' }),
  route('POST', '/containers/{id}/kill', kill),
  route('POST', '/containers/{id}/wait', wait),
  route('POST', '/containers/{id}/resize', resize),
];
