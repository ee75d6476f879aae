import type { LinuxDeps } from '../deps.ts';
import { EventSource } from './event-source.ts';
import { readHostAddresses } from './host-addresses.ts';
import type { HostTable } from './host-table.ts';
import type { Router } from './router.ts';
import { hostAddresses } from './router-rules.ts';

/**
 * Watches changes of the host's network by other programs. It passes the host's current addresses to the router, which blocks
 * containers from them, and restores flushed firewall rules. It uses events, not polling.
 */
export class HostWatch {
  readonly #router: Router;
  readonly #sources: readonly EventSource[];
  #addresses = '';

  constructor(deps: LinuxDeps, router: Router, hostTable: HostTable) {
    this.#router = router;
    const keepTable = async () => {
      if (await hostTable.keep()) deps.log.warn('restored missing rules in the host’s firewall');
    };
    this.#sources = [
      new EventSource(deps, ['ip', '-4', 'monitor', 'address', 'route'], () => this.#tellAddresses()),
      new EventSource(deps, ['nft', 'monitor'], keepTable),
    ];
  }

  /** Resolves when the router has the host's addresses. */
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
