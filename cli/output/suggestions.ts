/**
 * Translates the API's suggestions for a user of the CLI: what an API caller must send becomes what a CLI user must type.
 *
 * A route such as `GET /v1/operations/0e1f-22?waitSeconds=25` becomes the command for its operation. {@link COMMANDS} has
 * an entry for every operation, so a new route does not compile without one. Members and headers of requests are replaced
 * by the phrases in {@link PARTS}.
 */
import { type OperationId, ROUTES } from '../../core/contract/http/routes.ts';
import { pathExpression } from '../path-expression.ts';
import { commandLine } from './format.ts';

type Values = Readonly<Record<string, string>>;
type ToCommand = (parameters: Values) => string;

const on =
  (command: string): ToCommand =>
  (parameters) =>
    [command, commandLine(Object.values(parameters))].join(' ').trimEnd();

/** The command for each operation, without options. Null: the CLI has none, and the route stays in the text. */
const COMMANDS: Readonly<Record<OperationId, ToCommand | null>> = {
  createContainer: on('container create'),
  listContainers: on('container list'),
  getContainer: on('container get'),
  updateContainer: on('container set'),
  startContainer: on('container start'),
  stopContainer: on('container stop'),
  restartContainer: on('container restart'),
  killContainer: on('container kill'),
  removeContainer: on('container remove'),
  listContainerProcesses: on('container processes'),
  getContainerIsolation: on('container isolation'),
  verifyContainerIsolation: (parameters) => `${on('container isolation')(parameters)} --verify`,
  getContainerLogs: on('container logs'),
  execInContainer: on('container exec'),
  openSession: on('container enter'),
  revokeSession: null,
  listComputeProcesses: on('compute-process list'),
  getComputeProcess: on('compute-process get'),
  stopComputeProcess: on('compute-process stop'),
  listHosts: on('host list'),
  getHost: on('host get'),
  updateHost: on('host set'),
  removeHost: on('host remove'),
  drainHost: on('host drain'),
  declareHostLost: on('host lost'),
  listHostProcesses: on('host processes'),
  createEnrollmentToken: on('host enroll'),
  enrollHost: null,
  listImages: on('image list'),
  importImage: on('image import'),
  getImage: on('image get'),
  removeImage: on('image remove'),
  listOperations: on('operation list'),
  // Suggestions that name an operation ask the user to wait for it.
  getOperation: on('operation wait'),
  cancelOperation: on('operation cancel'),
  listEvents: on('event list'),
  putConversionRule: on('rule set'),
  getConversionRule: on('rule get'),
  listConversionRules: on('rule list'),
  deleteConversionRule: on('rule remove'),
  testConversionRule: on('rule test'),
  listConversionRuleRuns: on('rule runs'),
  getHealth: null,
  getVersion: on('config'),
  getOpenApi: null,
};

/** Query parameters that are options of a command. Other parameters, such as `waitSeconds`, are dropped. */
const OPTIONS: Readonly<Record<string, string>> = {
  hostId: '--host-id',
  image: '--image',
  name: '--name',
  label: '--label',
  runtimeType: '--runtime-type',
  state: '--state',
  containerId: '--container',
};

/** Parts of requests other than routes. */
const PARTS: readonly (readonly [RegExp, string])[] = [
  [/\?force=true/g, '--force'],
  [/(set )?"acceptUntrustedDisk": true/g, '--accept-untrusted-disk'],
  [/placement\.hostId/g, '--host-id'],
  [/runtimeType "(\w+)"/g, '--runtime-type $1'],
  [/[Ss]et strategy to "(\w+)"/g, 'Use --strategy $1'],
  [/Omit strategy, or set it to "(\w+)"/g, 'Omit --strategy, or use --strategy $1'],
  [/without a cursor/g, 'from the start'],
  [/Use a new Idempotency-Key for each new request/g, 'Run the command again'],
  [
    /Repeat it with the same Idempotency-Key, or read the resource/g,
    'Check the result, and repeat the command if needed',
  ],
  [/ \(header Retry-After\), then repeat the request/g, ', then run the command again'],
  [/Use another token/g, 'Run `bulkhead login`, or set BULKHEAD_TOKEN'],
];

const ROUTE = /\b(GET|POST|PUT|PATCH|DELETE) (\/v1\/[^\s,;?]*[\w%-])(?:\?([^\s,;]*[\w%-]))?/g;

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const BY_PRECEDENCE = [...ROUTES].sort((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')));

/** The operation and the path parameters of a request. A route without parameters has precedence. */
const findOperation = (method: string, path: string) => {
  for (const route of BY_PRECEDENCE) {
    const match = route.method === method ? pathExpression(route.path).exec(path) : null;
    if (match === null) continue;
    const parameters = Object.entries(match.groups ?? {}).map(
      ([name, value]) => [name, decoded(value)] as const,
    );
    return { id: route.operationId as OperationId, parameters: Object.fromEntries(parameters) };
  }
  return undefined;
};

const optionsOf = (query: string): readonly string[] =>
  [...new URLSearchParams(query)].flatMap(([name, value]) => {
    const option = OPTIONS[name];
    return option === undefined ? [] : [`${option} ${commandLine([value])}`];
  });

const toCommand = (method: string, path: string, query: string): string | undefined => {
  const operation = findOperation(method, path);
  const command = operation && COMMANDS[operation.id]?.(operation.parameters);
  return command == null ? undefined : `\`bulkhead ${[command, ...optionsOf(query)].join(' ')}\``;
};

/** A suggestion of the API, in terms of the CLI. */
export function toCliSuggestion(suggestion: string): string;
export function toCliSuggestion(suggestion: string | undefined): string | undefined;
export function toCliSuggestion(suggestion: string | undefined): string | undefined {
  const withCommands = suggestion?.replaceAll(
    ROUTE,
    (route, method: string, path: string, query = '') => toCommand(method, path, query) ?? route,
  );
  return PARTS.reduce((text, [pattern, replacement]) => text?.replaceAll(pattern, replacement), withCommands);
}
