import { ProblemError } from '../../../core/client/index.ts';
import type { SessionRequest } from '../../../core/contract/session.ts';
import { escapeControls } from '../../output/text.ts';
import { openContainerSession, type SessionStream } from '../../session.ts';
import { DetachKeys } from '../detach-keys.ts';
import { DockerError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { contentTypeOf } from '../frames.ts';
import { toDockerId } from '../ids.ts';
import { type AttachedStreams, ClientStream, join } from '../streams.ts';
import { refuseMembers } from '../translate/members.ts';
import { sizeOf } from '../translate/size.ts';
import { isRunning } from '../translate/state.ts';
import { type Handle, route, type Services } from './route.ts';

/** `docker exec` creates an instance and then starts it. This stores the command, and later its exit code. */
export interface Exec {
  readonly containerId: string;
  readonly request: SessionRequest;
  /** The streams of the request. Without any, as docker, only the exit code is kept. */
  readonly attached: AttachedStreams;
  readonly tty: boolean;
  session?: SessionStream;
  running: boolean;
  exitCode: number | null;
}

/** Above this number the oldest ended instances are removed. */
const MAX_EXECS = 1_000;

type Body = Readonly<Record<string, unknown>>;

const words = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

const variables = (list: readonly string[]): Record<string, string> =>
  Object.fromEntries(list.map((one) => [one.split('=', 1)[0] ?? '', one.slice(one.indexOf('=') + 1)]));

/** Every documented member of the bodies. Those with an option are refused unless they are empty. */
const CREATE_MEMBERS = [
  ...['AttachStdin', 'AttachStdout', 'AttachStderr', 'Tty', 'Env', 'Cmd', 'User', 'WorkingDir'],
  // The size of the terminal follows with the start. The docker CLI sends the id of the container and the flag again.
  ...['ConsoleSize', 'Container', 'Detach', 'DetachKeys', 'detachKeys'],
];
const REFUSED_MEMBERS = { Privileged: 'exec --privileged' };
/** Names of members do not depend on case in Docker's API, and docker-py uses the other one. */
const detachKeysOf = ({ DetachKeys: keys, detachKeys = keys }: Body): string => String(detachKeys ?? '');
const START_MEMBERS = ['Detach', 'Tty', 'ConsoleSize', 'detachKeys'];

const toRequest = (body: Body): SessionRequest => {
  const env = variables(words(body.Env));
  return {
    command: words(body.Cmd),
    tty: body.Tty === true,
    user: typeof body.User === 'string' && body.User !== '' ? body.User : undefined,
    workingDir: typeof body.WorkingDir === 'string' && body.WorkingDir !== '' ? body.WorkingDir : undefined,
    env: Object.keys(env).length === 0 ? undefined : env,
  };
};

const create: Handle = async ({ bridge, execs }, exchange) => {
  const body = (exchange.body ?? {}) as Body;
  refuseMembers(body, CREATE_MEMBERS, REFUSED_MEMBERS);
  if (words(body.Cmd).length === 0) throw new DockerError(400, 'No exec command specified');
  const container = await bridge.container(exchange.params.id ?? '');
  if (!isRunning(container))
    throw new DockerError(409, `container ${toDockerId(container.id)} is not running`);
  const id = bridge.settings.newId();
  removeOldest(execs);
  execs.set(id, {
    containerId: container.id,
    request: toRequest(body),
    attached: {
      stdin: body.AttachStdin === true,
      stdout: body.AttachStdout === true,
      stderr: body.AttachStderr === true,
      isExec: true,
      ...(body.Tty === true ? { detachKeys: new DetachKeys(detachKeysOf(body)) } : {}),
    },
    tty: body.Tty === true,
    running: false,
    exitCode: null,
  });
  exchange.json(201, { Id: id });
};

const removeOldest = (execs: Map<string, Exec>): void => {
  for (const [id, { running, session }] of execs)
    if (execs.size >= MAX_EXECS && !running && session !== undefined) execs.delete(id);
};

const execOf = ({ execs }: Services, exchange: Exchange): Exec => {
  const id = exchange.params.id ?? '';
  const exec = execs.get(id);
  if (exec === undefined) throw new DockerError(404, `No such exec instance: ${id}`);
  return exec;
};

/** The exit code in docker if a command cannot be run. */
const NOT_RUN = 126;
const NOT_FOUND = 127;

/** Sends the reason of a failed start in place of the output, as docker does. */
const showFailure = (exec: Exec, exchange: Exchange, isRaw: boolean, error: ProblemError): void => {
  exec.exitCode = error.code === 'program-not-found' ? NOT_FOUND : NOT_RUN;
  const client = new ClientStream(exchange.hijack(contentTypeOf(isRaw, exchange.version)), isRaw);
  client.output('stderr', Buffer.from(`${escapeControls(error.message)}\r\n`));
  client.end();
};

const isNotRun = (error: unknown): error is ProblemError =>
  error instanceof ProblemError && ['program-not-found', 'program-not-executable'].includes(error.code);

const start: Handle = async (services, exchange) => {
  const { bridge } = services;
  const exec = execOf(services, exchange);
  if (exec.session !== undefined)
    throw new DockerError(409, `exec ${exchange.params.id} has already been started`);
  const body = (exchange.body ?? {}) as Body;
  refuseMembers(body, START_MEMBERS, {});
  // As in docker, this request decides about frames, whatever the process has.
  const isRaw = body.Tty === true;
  const size = exec.tty ? sizeOf(body) : {};
  const session = await openContainerSession(bridge.client, bridge.settings, exec.containerId, {
    ...exec.request,
    ...size,
  }).catch((error: unknown) => {
    if (body.Detach === true || !isNotRun(error)) throw error;
    showFailure(exec, exchange, isRaw, error);
  });
  if (session === undefined) return;
  exec.session = session;
  exec.running = true;
  void session.exit.then(({ exitCode }) => {
    exec.running = false;
    exec.exitCode = exitCode ?? NOT_RUN;
  });
  if (body.Detach === true) {
    session.onOutput(() => undefined);
    return exchange.empty(200);
  }
  const client = new ClientStream(exchange.hijack(contentTypeOf(isRaw, exchange.version)), isRaw);
  // On a terminal all output is stdout.
  const { stdout, stderr } = exec.attached;
  await join(client, session, { ...exec.attached, stdout: stdout || (exec.tty && stderr) });
  client.end();
};

const resize: Handle = async (services, exchange) => {
  const exec = execOf(services, exchange);
  const [columns, rows] = [Number(exchange.query.get('w')), Number(exchange.query.get('h'))];
  if (columns > 0 && rows > 0) exec.session?.resize(columns, rows);
  exchange.empty(200);
};

const inspect: Handle = async (services, exchange) => {
  const { containerId, request, running, exitCode, tty, attached } = execOf(services, exchange);
  const [entrypoint = '', ...args] = request.command ?? [];
  exchange.json(200, {
    ID: exchange.params.id,
    ContainerID: toDockerId(containerId),
    Running: running,
    ExitCode: exitCode,
    Pid: 0,
    OpenStdin: attached.stdin,
    OpenStdout: attached.stdout,
    OpenStderr: attached.stderr,
    CanRemove: !running,
    ProcessConfig: { entrypoint, arguments: args, tty, privileged: false, user: request.user ?? '' },
  });
};

export const EXEC_ROUTES = [
  route('POST', '/containers/{id}/exec', create),
  route('POST', '/exec/{id}/start', start),
  route('POST', '/exec/{id}/resize', resize),
  route('GET', '/exec/{id}/json', inspect),
];
