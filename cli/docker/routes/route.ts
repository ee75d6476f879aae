import type { Bridge } from '../bridge.ts';
import type { Exchange } from '../exchange.ts';
import type { Runs } from '../runs.ts';
import type { Exec } from './exec.ts';

export interface Services {
  readonly bridge: Bridge;
  readonly runs: Runs;
  /** What `docker exec` has made and not forgotten, by its id. */
  readonly execs: Map<string, Exec>;
}

export type Handle = (services: Services, exchange: Exchange) => Promise<void>;

export interface BridgeRoute {
  readonly method: string;
  /** As Docker's documentation writes it, without the version: `/containers/{id}/json`. `{name+}` takes slashes too. */
  readonly path: string;
  readonly handle: Handle;
}

export const route = (method: string, path: string, handle: Handle): BridgeRoute => ({
  method,
  path,
  handle,
});
