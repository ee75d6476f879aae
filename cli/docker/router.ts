import { pathExpression } from '../path-expression.ts';
import { DockerError } from './errors.ts';
import { CONTAINER_ROUTES } from './routes/containers.ts';
import { EXEC_ROUTES } from './routes/exec.ts';
import { IMAGE_ROUTES } from './routes/images.ts';
import { LIFECYCLE_ROUTES } from './routes/lifecycle.ts';
import { REFUSED_ROUTES } from './routes/refused.ts';
import type { BridgeRoute, Handle } from './routes/route.ts';
import { STREAM_ROUTES } from './routes/streams.ts';
import { OLDEST_API_VERSION, SYSTEM_ROUTES } from './routes/system.ts';

const ROUTES: readonly BridgeRoute[] = [
  ...SYSTEM_ROUTES,
  ...CONTAINER_ROUTES,
  ...LIFECYCLE_ROUTES,
  ...STREAM_ROUTES,
  ...EXEC_ROUTES,
  ...IMAGE_ROUTES,
  ...REFUSED_ROUTES,
];

const COMPILED = ROUTES.map((route) => ({ ...route, expression: pathExpression(route.path) }));

interface Match {
  readonly handle: Handle;
  readonly params: Readonly<Record<string, string>>;
}

const isOlder = (version: string, than: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split('.').map(Number);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
};

/** The path without the version of Docker's API. Clients since 2016 can include one. */
const withoutVersion = (path: string): string => {
  const [, version, rest] = /^\/v(\d+\.\d+)(\/.*)$/.exec(path) ?? [];
  if (version === undefined || rest === undefined) return path;
  if (isOlder(version, OLDEST_API_VERSION))
    throw new DockerError(
      400,
      `client version ${version} is too old. Minimum supported API version is ${OLDEST_API_VERSION}`,
    );
  return rest;
};

/** @param path the raw path, without its query */
export const findRoute = (method: string, path: string): Match => {
  const plain = withoutVersion(path);
  for (const { method: own, expression, handle } of COMPILED) {
    const match = own === method ? expression.exec(plain) : null;
    if (match === null) continue;
    const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decode(value)]);
    return { handle, params: Object.fromEntries(params) };
  }
  throw new DockerError(404, `${method} ${plain} is not supported by Bulkhead.`);
};

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new DockerError(400, 'the path is not valid', { cause });
  }
};
