import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { Artifacts } from './artifacts.ts';
import type { Layout } from './layout.ts';
import type { Leases } from './leases.ts';

/** The dependencies of every part of the Linux runtime. */
export interface LinuxDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly randomBytes: (count: number) => Buffer;
  readonly layout: Layout;
  readonly artifacts: Artifacts;
  readonly leases: Leases;
}
