import type { Container } from '../../../core/contract/container.ts';

export type DockerState = 'created' | 'running' | 'exited' | 'restarting' | 'removing' | 'dead';

const hasRun = ({ exitCode, lastError }: Container): boolean => exitCode !== null || lastError !== null;

/** Bulkhead's state in Docker's words. A silent host's container may still run, so it counts as running. */
export const dockerState = (container: Container): DockerState => {
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
      return hasRun(container) ? 'exited' : 'created';
    case 'Failed':
      return 'exited';
  }
};

export const isRunning = (container: Container): boolean => dockerState(container) === 'running';

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [365 * 86_400, 'years'],
  [60 * 86_400, 'months'],
  [14 * 86_400, 'weeks'],
  [48 * 3600, 'days'],
  [90 * 60, 'hours'],
  [120, 'minutes'],
];
const LENGTH: Readonly<Record<string, number>> = {
  years: 365 * 86_400,
  months: 30 * 86_400,
  weeks: 7 * 86_400,
  days: 86_400,
  hours: 3600,
  minutes: 60,
};

/** As Docker tells people how long: `Less than a second`, `5 seconds`, `About a minute`, `2 hours`. */
export const humanDuration = (seconds: number): string => {
  if (seconds < 1) return 'Less than a second';
  if (seconds < 2) return '1 second';
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  if (seconds < 120) return 'About a minute';
  for (const [least, name] of UNITS)
    if (seconds >= least) {
      const count = Math.floor(seconds / (LENGTH[name] ?? 1));
      return name === 'hours' && count === 1 ? 'About an hour' : `${count} ${name}`;
    }
  return 'Less than a second';
};

const CONVERTED = { Converting: 'Converting its runtime type', Starting: 'Starting' } as const;

/** The column STATUS of `docker ps`. */
export const statusText = (container: Container, now: number): string => {
  const since = (timestamp: string): string => humanDuration((now - Date.parse(timestamp)) / 1000);
  const { state, startedAt, updatedAt, exitCode } = container;
  if (state === 'Unknown') return 'Up (its host has gone silent)';
  if (state === 'Converting' || state === 'Starting') return CONVERTED[state];
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
