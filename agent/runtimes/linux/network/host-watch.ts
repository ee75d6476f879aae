import type { LinuxDeps } from '../deps.ts';
import { EventSource } from './event-source.ts';
import { readHostAddresses } from './host-addresses.ts';
import type { HostTable } from './host-table.ts';
import type { Router } from './router.ts';
import { hostAddresses } from './router-rules.ts';

/**
 * Follows what others do to the host's network while the agent runs: it reports addresses that come and go to the router,
 * which lets no container reach one, and rules that others have flushed are restored. Nothing is polled.
 */
export class HostWatch {
  readonly #router: Router;
  readonly #sources: readonly EventSource[];
  #addresses = '';

  constructor(deps: LinuxDeps, router: Router, hostTable: HostTable) {
    this.#router = router;
    const keepTable = async () => {
      if (await hostTable.keep())
        deps.log.warn('rules that were missing in the host’s firewall were restored');
    };
    this.#sources = [
      new EventSource(deps, ['ip', '-4', 'monitor', 'address', 'route'], () => this.#tellAddresses()),
      new EventSource(deps, ['nft', 'monitor'], keepTable),
    ];
  }

  /** Resolves when the router knows the host's addresses. */
  async start(): Promise<void> {
    await this.#tellAddresses();
    for (const source of this.#sources) source.start();
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }

  async #tellAddresses(): Promise<void> {
    const script = hostAddresses(await readHostAddresses());
    if (script === this.#addresses) return;
    await this.#router.nft(script);
    this.#addresses = script;
  }
}
