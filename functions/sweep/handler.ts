import { recordSilence } from '../../store/host-facts.ts';
import { HOST_SHARDS, indexes, keys } from '../../store/keys.ts';
import { isSilent, noteSilence } from '../../store/links.ts';
import { parseHost, parseHostLink } from '../../store/parse.ts';
import { listRunning, recordUnknown } from '../../store/reconcile.ts';
import type { HostLinkRecord, HostRecord } from '../../store/records.ts';
import { ConditionFailed, type QueryOptions } from '../../store/table.ts';
import type { WorkflowDependencies } from '../../store/workflow.ts';
import { type AdmitDependencies, admitWaiting } from '../shared/admit.ts';
import type { Metrics } from '../shared/metrics.ts';

export interface SweepDependencies extends WorkflowDependencies, AdmitDependencies {
  readonly metrics: Metrics;
  readonly leaseSeconds: number;
}

/** Time for one sweep, in milliseconds: what is left then is left to the next. */
const BUDGET_MS = 20_000;
/** Containers of one host that become `Unknown` in one sweep. */
const CONTAINERS_PER_HOST = 200;
/** BatchGetItem's own limit. */
const LINKS_AT_ONCE = 100;

interface Watched {
  readonly host: HostRecord;
  readonly link: HostLinkRecord | undefined;
}

/**
 * Once a minute: what nobody else notices.
 *
 * - A host that has been silent for longer than its lease becomes `Unknown` and takes no more containers. Its
 *   containers become `Unknown` too, as many a round as fit; what is held for them stays held, and they are started
 *   nowhere else. A heartbeat that comes at the same moment wins.
 * - Waiting operations are looked at once more, and tasks whose answer was lost are answered again.
 */
export const createSweepHandler = (deps: SweepDependencies) => {
  const { table, now, leaseSeconds, logger, metrics } = deps;

  async function* hostsOf(shard: number): AsyncGenerator<readonly Watched[]> {
    const options: QueryOptions = {
      index: 'gsi4',
      key: indexes.hostsToSweep(shard),
      sort: 'any',
      limit: LINKS_AT_ONCE,
    };
    let after: QueryOptions['after'];
    do {
      const page = await table.query({ ...options, ...(after && { after }) });
      const hosts = page.items.map(parseHost);
      const items = await table.batchGet(hosts.map(({ tenant, id }) => keys.hostLink(tenant, id)));
      const links = new Map(items.map(parseHostLink).map((link) => [`${link.tenant}#${link.hostId}`, link]));
      yield hosts.map((host) => ({ host, link: links.get(`${host.tenant}#${host.id}`) }));
      after = page.after;
    } while (after !== undefined);
  }

  /** @returns whether the host is `Unknown` now */
  const silence = async ({ host, link }: Watched): Promise<boolean> => {
    if (host.view.state === 'Unknown') return true;
    try {
      await table.transact(recordSilence(host, link === undefined ? [] : [noteSilence(link)]));
      metrics.count('hostSilent');
      logger.warn('host is silent', { tenant: host.tenant, hostId: host.id });
      return true;
    } catch (error) {
      // It has been heard of, or has changed: the next sweep looks again.
      if (!(error instanceof ConditionFailed)) throw error;
      return false;
    }
  };

  const sweepHost = async (watched: Watched): Promise<void> => {
    const { host, link } = watched;
    const { state } = host.view;
    if (state === 'Lost' || !isSilent(link, now(), leaseSeconds)) return;
    if (!(await silence(watched))) return;
    const speaker = { tenant: host.tenant, hostId: host.id };
    for (const id of await listRunning(table, speaker, CONTAINERS_PER_HOST))
      await recordUnknown(deps, { tenant: host.tenant, containerId: id }, link);
  };

  const sweepShard = async (shard: number, until: number): Promise<ReadonlySet<string>> => {
    const tenants = new Set<string>();
    for await (const watched of hostsOf(shard)) {
      for (const one of watched) {
        tenants.add(one.host.tenant);
        if (now().getTime() > until) continue;
        try {
          await sweepHost(one);
        } catch (error) {
          // The other hosts are swept all the same; this one again in a minute.
          logger.error('host not swept', { tenant: one.host.tenant, hostId: one.host.id }, error);
        }
      }
    }
    return tenants;
  };

  return async (): Promise<void> => {
    const until = now().getTime() + BUDGET_MS;
    const shards = await Promise.allSettled(
      Array.from({ length: HOST_SHARDS }, (_unused, shard) => sweepShard(shard, until)),
    );
    const tenants = new Set<string>();
    for (const shard of shards) {
      if (shard.status === 'fulfilled') for (const tenant of shard.value) tenants.add(tenant);
      else logger.error('shard not swept', {}, shard.reason);
    }
    for (const tenant of tenants) await admitWaiting(deps, tenant, { until, answerAgain: true });
  };
};
