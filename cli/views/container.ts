import type { Container, ContainerSummary } from '../../core/contract/container.ts';
import { colourOfState } from '../output/colours.ts';
import type { Field } from '../output/fields.ts';
import { commandLine, instant, memory, pairs, timeSpan } from '../output/format.ts';
import { toCliSuggestion } from '../output/suggestions.ts';
import type { Column } from '../output/table.ts';
import { networkFields } from './network.ts';

type Columns = Readonly<Record<string, Column<ContainerSummary>>>;

/** The columns for `--select`, with the names of the cmdlets if there is one. */
const COLUMNS = {
  Name: { header: 'Name', value: ({ name }) => name },
  State: { header: 'State', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  Uptime: { header: 'Uptime', value: ({ uptimeSeconds }) => timeSpan(uptimeSeconds) },
  ParentImageName: { header: 'ParentImageName', value: ({ image }) => image, flexible: true },
  RuntimeType: { header: 'RuntimeType', value: ({ runtimeType }) => runtimeType },
  Id: { header: 'Id', value: ({ id }) => id },
  ContainerId: { header: 'ContainerId', value: ({ id }) => id },
  ContainerName: { header: 'ContainerName', value: ({ name }) => name },
  HostId: { header: 'HostId', value: ({ hostId }) => hostId ?? '' },
  SwitchName: { header: 'SwitchName', value: ({ switchName }) => switchName },
  ExitCode: { header: 'ExitCode', value: ({ exitCode }) => String(exitCode ?? ''), right: true },
  Command: { header: 'Command', value: ({ command }) => commandLine(command ?? []), flexible: true },
  Labels: { header: 'Labels', value: ({ labels }) => pairs(labels), flexible: true },
  Created: { header: 'Created', value: ({ createdAt }) => instant(createdAt) },
} as const satisfies Columns;

export const CONTAINER_COLUMN_NAMES: readonly string[] = Object.keys(COLUMNS);

/** The columns of Get-Container. */
export const CONTAINER_COLUMNS: readonly Column<ContainerSummary>[] = [
  COLUMNS.Name,
  COLUMNS.State,
  COLUMNS.Uptime,
  COLUMNS.ParentImageName,
];

/** Columns by name, in any case. @returns undefined for an unknown name */
export const containerColumns = (
  names: readonly string[],
): readonly Column<ContainerSummary>[] | undefined => {
  const byName = new Map(Object.entries(COLUMNS).map(([name, column]) => [name.toLowerCase(), column]));
  const found = names.map((name) => byName.get(name.trim().toLowerCase()));
  return found.every((column) => column !== undefined) ? found : undefined;
};

const restart = ({ name, maxRetries }: Container['restartPolicy']): string =>
  maxRetries === undefined ? name : `${name}:${maxRetries}`;

const port = ({ hostPort, containerPort, protocol, hostAddress }: Container['ports'][number]): string =>
  `${hostAddress === undefined ? '' : `${hostAddress}:`}${hostPort ?? '*'}:${containerPort}/${protocol ?? 'tcp'}`;

/** While it runs, with the ports that its host has chosen. */
const shownPorts = ({ ports, lastRun }: Container): string | null => {
  const shown = lastRun?.ports.length ? lastRun.ports : ports;
  return shown.length === 0 ? null : shown.map(port).join(', ');
};

const resources = ({ resources: { memoryMB, cpus, diskMB } }: Container): string =>
  `${memory(memoryMB)}, ${cpus} CPU, ${memory(diskMB)} disk`;

export const containerFields = (container: Container): readonly Field[] => [
  ['Name', container.name],
  ['Id', container.id],
  ['State', container.state],
  ['RuntimeType', container.runtimeType],
  ['Uptime', timeSpan(container.uptimeSeconds)],
  ['ParentImageName', container.image],
  ['SwitchName', container.switchName],
  ...networkFields(container.network),
  ['NetworkPending', container.networkPending ? 'yes: not confirmed by its host' : null],
  ['Address', container.lastRun?.address],
  ['HostId', container.hostId],
  ['Entrypoint', container.entrypoint === null ? null : commandLine(container.entrypoint)],
  ['Command', container.command === null ? null : commandLine(container.command)],
  ['WorkingDir', container.workingDir],
  ['User', container.user],
  ['Environment', Object.keys(container.env).length === 0 ? null : pairs(container.env)],
  ['Stdin', container.stdin ? null : 'at its end'],
  ['Resources', resources(container)],
  ['Ports', shownPorts(container)],
  ['RestartPolicy', restart(container.restartPolicy)],
  ['AutoRemove', container.autoRemove ? 'yes' : null],
  ['Labels', Object.keys(container.labels).length === 0 ? null : pairs(container.labels)],
  ['ExitCode', container.exitCode],
  ['OutOfMemory', container.lastRun?.outOfMemory ? 'yes' : null],
  ['StartedAt', container.startedAt === null ? null : instant(container.startedAt)],
  ['CreatedAt', instant(container.createdAt)],
  ['Operation', container.activeOperationId],
  ['LastError', container.lastError?.detail],
  ['Suggestion', toCliSuggestion(container.lastError?.suggestion)],
  ['Revision', container.revision],
];
