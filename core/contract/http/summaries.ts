import { LIMITS } from '../primitives.ts';
import { SESSION_LIMITS } from '../session.ts';
import type { OperationId } from './routes.ts';

/** One-line summaries of the routes. Separate from the routes, so that no Lambda function includes them. */
export const SUMMARIES: Readonly<Record<OperationId, string>> = {
  startContainer: 'Start a container (Start-Container). One that runs already is left as it is.',
  stopContainer: 'Stop a container (Stop-Container): ask, wait, then force.',
  restartContainer: 'Stop a container and start it again where it is.',
  killContainer: 'Stop a container by force, at once (Stop-Container -TurnOff).',
  createContainer: 'Create a container, and start it if `start` is true (New-Container).',
  listContainers: 'List containers (Get-Container). Filters are combined with AND.',
  getContainer: 'One container, with its ETag.',
  updateContainer:
    'Change labels, restart policy, network policy, or the runtime type (Set-Container -RuntimeType). A conversion that fails leaves the container as it was; once its code has run in the VM it stays HyperV, running there or off.',
  removeContainer: 'Remove a container and its files (Remove-Container). A running one needs `force`.',
  listContainerProcesses: 'The processes inside a container (Get-Process in a session).',
  verifyContainerIsolation:
    'Try, from inside a running container, what it must not reach: a fixed set of probes, each with what came back and whether that is expected for its runtime type.',
  getContainerIsolation: 'What a running container shares with its host: kernels and processes, measured.',
  getContainerLogs: 'What the main process wrote, of its newest runs, as far as the host keeps it.',
  execInContainer: `Run a command to its end and return its output, at most ${SESSION_LIMITS.execOutputBytes / 1024} KB of each stream.`,
  openSession: 'Start an interactive process in a container, and get a token to join it (Enter-PSSession).',
  revokeSession: 'End a session of any user of the tenant.',
  listComputeProcesses: 'What runs now (Get-ComputeProcess).',
  getComputeProcess: 'One running compute process, by the id of its container in either case.',
  stopComputeProcess: 'Stop a compute process by force (Stop-ComputeProcess).',
  listHosts: 'The hosts, with what they can do and have left.',
  getHost: 'One host, with its ETag.',
  updateHost: 'Change labels, or whether containers may be placed there.',
  removeHost: 'Forget a host that has no containers; its key is worth nothing from then on.',
  drainHost: 'Place nothing more on a host; what runs there goes on.',
  listHostProcesses: 'The processes that the host sees (Get-Process on the host).',
  createEnrollmentToken: `A token with which one host can enroll, once, within ${LIMITS.enrollmentTokenSeconds / 60} minutes.`,
  enrollHost: 'Called by an agent: enroll its host with an enrollment token and the public key that it made.',
  listImages: 'The catalogue of images (Get-ContainerImage).',
  importImage: 'Have a host import an image.',
  getImage: 'One image, with the hosts that hold it.',
  removeImage: 'Remove an image that no container depends on, from the catalogue and its hosts.',
  listOperations: 'Operations, newest first.',
  getOperation:
    'One operation; with `waitSeconds`, answered when it ends or the time is over. A tenant that has waited more than its share is answered sooner, with Retry-After.',
  cancelOperation: 'Ask an operation to end. It ends Cancelled unless it was done before it saw that.',
  listEvents:
    'What happened, in order, to whom, by whom. The last page has a cursor too: ask again with it for what came since.',
  putConversionRule: 'Make or replace a rule that converts containers on events.',
  getConversionRule: 'One conversion rule, with its ETag.',
  listConversionRules: 'Conversion rules, by name.',
  deleteConversionRule: 'Remove a conversion rule, and its rule on the bus.',
  testConversionRule: 'What a rule would do on a sample event. Nothing is converted.',
  listConversionRuleRuns:
    'What a rule has done: on each event what it matched, converted, skipped and why, newest first.',
  getHealth: 'Whether the control plane answers.',
  getVersion: 'The version of the control plane and of the API.',
  getOpenApi: 'This API as an OpenAPI 3.1 document.',
};
