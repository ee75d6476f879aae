import type { Container, ContainerSummary } from '../../../core/contract/container.ts';

type DockerState = 'created' | 'running' | 'exited' | 'restarting' | 'removing' | 'dead';

const hasRun = ({ exitCode, lastError }: ContainerSummary): boolean =>
  exitCode !== null || lastError !== null;

/** The Docker state of a container. A container on a silent host may still run, so it is shown as running. */
export const dockerState = (
  container: ContainerSummary & Partial<Pick<Container, 'lastRun'>>,
): DockerState => {
  switch (container.state) {
    case 'Running':
    case 'Stopping':
    case 'Unknown':
      return 'running';
    case 'Starting':
    case 'Converting':
      return hasRun(container) ? 'restarting' : 'created';
    case 'Removing':
      return 'removing';
    case 'Off':
      if (container.lastRun?.restarting === true) return 'restarting';
      return hasRun(container) ? 'exited' : 'created';
    case 'Failed':
      return 'exited';
  }
};

export const isRunning = (container: ContainerSummary): boolean => dockerState(container) === 'running';

const HOUR = 1;
const DAY = 24 * HOUR;
/** The units, each for durations of at least this number of hours. */
const UNITS: readonly (readonly [from: number, length: number, name: string])[] = [
  [2 * 365 * DAY, 365 * DAY, 'years'],
  [2 * 30 * DAY, 30 * DAY, 'months'],
  [2 * 7 * DAY, 7 * DAY, 'weeks'],
  [2 * DAY, DAY, 'days'],
  [0, HOUR, 'hours'],
];

/** Docker's text for a duration: `Less than a second`, `5 seconds`, `About a minute`, `2 hours`. */
export const humanDuration = (duration: number): string => {
  const seconds = Math.floor(duration);
  if (seconds < 1) return 'Less than a second';
  if (seconds < 60) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes === 1 ? 'About a minute' : `${minutes} minutes`;
  const hours = Math.round(duration / 3600);
  const [, length, name] = UNITS.find(([from]) => hours >= from) ?? [0, HOUR, 'hours'];
  return hours === 1 ? 'About an hour' : `${Math.floor(hours / length)} ${name}`;
};

const TRANSITION_TEXTS = { Converting: 'Converting its runtime type', Starting: 'Starting' } as const;

/** The column STATUS of `docker ps`. */
export const statusText = (container: ContainerSummary, now: number): string => {
  const since = (timestamp: string): string => humanDuration((now - Date.parse(timestamp)) / 1000);
  const { state, startedAt, updatedAt, exitCode } = container;
  if (state === 'Unknown') return 'Up (the host does not respond)';
  if (state === 'Converting' || state === 'Starting') return TRANSITION_TEXTS[state];
  switch (dockerState(container)) {
    case 'running':
      return `Up ${since(startedAt ?? updatedAt)}`;
    case 'exited':
      return `Exited (${exitCode ?? FAILED_TO_START}) ${since(updatedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    default:
      return 'Created';
  }
};

/** Docker's exit code of a container whose process could not be started. */
export const FAILED_TO_START = 128;
