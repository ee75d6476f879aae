import type { Bridge } from '../bridge.ts';
import { type DockerError, unsupported } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { Runs } from '../runs.ts';
import type { Exec } from './exec.ts';

export interface Services {
  readonly bridge: Bridge;
  readonly runs: Runs;
  /** Instances of `docker exec` by id. */
  readonly execs: Map<string, Exec>;
}

export type Handle = (services: Services, exchange: Exchange) => Promise<void>;

export interface BridgeRoute {
  readonly method: string;
  /** As in Docker's documentation, without the version: `/containers/{id}/json`. `{name+}` can contain slashes. */
  readonly path: string;
  readonly handle: Handle;
  /** Parameters of Docker's API that this route refuses, with the docker option, unless they have no effect. */
  readonly refusedQuery: Readonly<Record<string, string>>;
  /** The answer of a route that Bulkhead does not support. */
  readonly refusal?: DockerError;
}

/** @param refusedQuery see {@link BridgeRoute}; every other documented parameter is implemented by `handle` */
export const route = (
  method: string,
  path: string,
  handle: Handle,
  refusedQuery: Readonly<Record<string, string>> = {},
): BridgeRoute => ({ method, path, handle, refusedQuery });

export const refusedRoute = (method: string, path: string, refusal: DockerError): BridgeRoute => ({
  ...route(method, path, () => Promise.reject(refusal)),
  refusal,
});

const WITHOUT_EFFECT = ['', '0', 'false', 'False'];

/** @throws {DockerError} if the query has a parameter that the route does not support */
export const checkQuery = ({ refusedQuery }: BridgeRoute, query: URLSearchParams): void => {
  for (const [name, option] of Object.entries(refusedQuery))
    if (!WITHOUT_EFFECT.includes(query.get(name) ?? '')) throw unsupported(option);
};
