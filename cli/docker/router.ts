import { pathExpression } from '../path-expression.ts';
import { DockerError } from './errors.ts';
import { CONTAINER_ROUTES } from './routes/containers.ts';
import { EXEC_ROUTES } from './routes/exec.ts';
import { IMAGE_ROUTES } from './routes/images.ts';
import { LIFECYCLE_ROUTES } from './routes/lifecycle.ts';
import { NETWORK_ROUTES } from './routes/networks.ts';
import { PRUNE_ROUTES } from './routes/prune.ts';
import { REFUSED_ROUTES } from './routes/refused.ts';
import type { BridgeRoute } from './routes/route.ts';
import { STREAM_ROUTES } from './routes/streams.ts';
import { SYSTEM_ROUTES } from './routes/system.ts';
import { API_VERSION, isOlder, OLDEST_API_VERSION } from './versions.ts';

const ROUTES: readonly BridgeRoute[] = [
  ...SYSTEM_ROUTES,
  ...CONTAINER_ROUTES,
  ...LIFECYCLE_ROUTES,
  ...STREAM_ROUTES,
  ...EXEC_ROUTES,
  ...IMAGE_ROUTES,
  ...NETWORK_ROUTES,
  ...PRUNE_ROUTES,
  ...REFUSED_ROUTES,
];

const COMPILED = ROUTES.map((route) => ({ route, expression: pathExpression(route.path) }));

interface Match {
  readonly route: BridgeRoute;
  /** The version of Docker's API in the path; the newest if it has none. */
  readonly version: string;
  readonly params: Readonly<Record<string, string>>;
}

/** Separates the version of Docker's API from the path. Clients since 2016 can include one. */
const withoutVersion = (path: string): { readonly plain: string; readonly version: string } => {
  const [, version, rest] = /^\/v(\d+\.\d+)(\/.*)$/.exec(path) ?? [];
  if (version === undefined || rest === undefined) return { plain: path, version: API_VERSION };
  if (isOlder(version, OLDEST_API_VERSION))
    throw new DockerError(
      400,
      `client version ${version} is too old. Minimum supported API version is ${OLDEST_API_VERSION}`,
    );
  return { plain: rest, version };
};

/** @param path the raw path, without its query */
export const findRoute = (method: string, path: string): Match => {
  const { plain, version } = withoutVersion(path);
  for (const { route, expression } of COMPILED) {
    const match = route.method === method ? expression.exec(plain) : null;
    if (match === null) continue;
    const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decode(value)]);
    return { route, version, params: Object.fromEntries(params) };
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
