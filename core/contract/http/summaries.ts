import { LIMITS } from '../primitives.ts';
import { SESSION_LIMITS } from '../session.ts';
import type { OperationId } from './routes.ts';

/** One-line summaries of the routes. Separate from the routes, so that no Lambda function includes them. */
export const SUMMARIES: Readonly<Record<OperationId, string>> = {
  startContainer: 'Start a container (Start-Container). No effect if it is already running.',
  stopContainer: 'Stop a container (Stop-Container): send the stop signal, wait, then kill it.',
  restartContainer: 'Stop a container and start it again on the same host.',
  killContainer: 'Kill a container immediately (Stop-Container -TurnOff).',
  createContainer: 'Create a container (New-Container). If `start` is true, also start it.',
  listContainers: 'List containers that match all filters (Get-Container).',
  getContainer: 'Get a container and its ETag.',
  updateContainer:
    'Change the labels, restart policy, network policy or runtime type of a container (Set-Container -RuntimeType). A failed conversion restores the earlier state. If code of the container has already run in the VM, the container stays HyperV instead and is running in that VM or off.',
  removeContainer:
    'Remove a container and its files (Remove-Container). A running container requires `force`.',
  listContainerProcesses: 'List the processes inside a container (Get-Process in a session).',
  verifyContainerIsolation:
    'Verify the isolation of a running container. Runs a fixed set of probes inside it, and returns the outcome of each and whether that outcome is expected for the runtime type.',
  getContainerIsolation:
    'Report what a running container shares with its host: the kernel and the visible processes, as measured.',
  getContainerLogs:
    'Get the output of the main process, from its newest runs, as far as the host has kept it.',
  execInContainer: `Run a command, wait until it exits, and return its output: at most ${SESSION_LIMITS.execOutputBytes / 1024} KB of each stream.`,
  openSession:
    'Start an interactive process in a container, and get a token to connect to it (Enter-PSSession).',
  revokeSession: 'End a session of any user of the tenant.',
  listComputeProcesses: 'List compute processes (Get-ComputeProcess).',
  getComputeProcess: 'Get a compute process by the id of its container, in upper or lower case.',
  stopComputeProcess: 'Kill a compute process (Stop-ComputeProcess).',
  listHosts: 'List hosts, with their capabilities and free capacity.',
  getHost: 'Get a host and its ETag.',
  updateHost: 'Change the labels of a host, or whether containers can be placed on it.',
  removeHost: 'Remove a host that has no containers. Its key is no longer accepted.',
  declareHostLost:
    'Declare that a host is off and will not return. Refused without `force` while its agent seems to be connected. It cannot connect any more, its containers become Unknown, and removals with `force` do not wait for its lease.',
  drainHost: 'Stop placing containers on a host. Running containers continue.',
  listHostProcesses: 'List the processes that are visible on a host (Get-Process on the host).',
  createEnrollmentToken: `Create a token with which one host can enroll, once, within ${LIMITS.enrollmentTokenSeconds / 60} minutes.`,
  enrollHost: 'Enroll a host. Called by its agent, with an enrollment token and the public key of the host.',
  listImages: 'List the images in the catalogue, without the hosts that hold them (Get-ContainerImage).',
  importImage: 'Import an image on a host.',
  getImage: 'Get an image, with the hosts that hold it.',
  removeImage: 'Remove an image from the catalogue and its hosts. Refused while a container uses it.',
  listOperations: 'List operations, newest first.',
  getOperation:
    'Get an operation. With `waitSeconds`, the response is sent when the operation ends or the time has passed. If the tenant has used its share of waiting time, the response is sent earlier, with Retry-After.',
  cancelOperation:
    'Cancel an operation. It ends in state Cancelled, unless it completes before the cancellation takes effect.',
  listEvents:
    'List events in order, each with its resource and actor. The last page also has a cursor: use it to get newer events later. With `from=end` the page is empty, and its cursor is after the newest event.',
  putConversionRule: 'Create or replace a rule that converts containers on events.',
  getConversionRule: 'Get a conversion rule and its ETag.',
  listConversionRules: 'List conversion rules, by name.',
  deleteConversionRule: 'Delete a conversion rule and its rule on the event bus.',
  testConversionRule: 'Test a rule on a sample event. Returns what the rule would do, and converts nothing.',
  listConversionRuleRuns:
    'List the runs of a rule, newest first: for each event, which containers it converted or skipped, and why.',
  getHealth: 'Check whether the control plane responds.',
  getVersion: 'Get the versions of the control plane and the API.',
  getOpenApi: 'Get the OpenAPI 3.1 document of this API.',
};
