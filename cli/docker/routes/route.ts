import type { Bridge } from '../bridge.ts';
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
}

export const route = (method: string, path: string, handle: Handle): BridgeRoute => ({
  method,
  path,
  handle,
});
