import { unsupported } from '../errors.ts';

type Json = Readonly<Record<string, unknown>>;

/** Whether a member has no effect: omitted, or the zero value of its type, which docker sends by default. */
export const isEmpty = (value: unknown): boolean => {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true;
  // The keys of an object are a request, for example the paths in `Volumes` and `Tmpfs`.
  return typeof value === 'object' && Object.keys(value).length === 0;
};

/**
 * Options that clients of other languages send to themselves in the same object. They are not in Docker's API, and no docker engine
 * reads them (dockerode 5, testcontainers 12, docker-py 7).
 */
const CLIENT_OPTIONS = ['name', 'platform', 'stdin', 'hijack', 'stream', 'abortSignal', 'authconfig', 'auth'];

/**
 * @param known members that are translated, or have no effect
 * @param options the docker option of a member, for the error
 * @throws {DockerError} for any other member that is not empty
 */
export const refuseMembers = (
  body: Json,
  known: readonly string[],
  options: Readonly<Record<string, string>>,
): void => {
  for (const [member, value] of Object.entries(body))
    if (!known.includes(member) && !CLIENT_OPTIONS.includes(member) && !isEmpty(value))
      throw unsupported(options[member] ?? `"${member}"`);
};
