import { listOpenCommands } from '../../store/commands.ts';
import {
  type HostLinkRecord,
  isSilent,
  noteSilence,
  parseHostLink,
  SWEPT_LINK,
} from '../../store/host-links.ts';
import { parseSweptHost, SWEPT_HOST, type SweptHost } from '../../store/hosts.ts';
import { readEach } from '../../store/item-format.ts';
import { HOST_SHARDS, indexes, keys, parsePartitionKey } from '../../store/keys.ts';
import { ConditionFailed, type QueryOptions } from '../../store/table.ts';
import type { WorkflowDependencies } from '../../workflow/dependencies.ts';
import { answerStep, isDirect } from '../../workflow/operation/answer-task.ts';
import { recordSilence } from '../../workflow/reconciliation/host-facts.ts';
import { listRunning, recordUnknown } from '../../workflow/reconciliation/silent-host.ts';
import type { StartFailure } from '../../workflow/tasks.ts';
import { type AdmitDependencies, admitWaiting } from '../../workflow/waiting/admit-waiting.ts';
import { shuffle, takeTurns } from '../../workflow/waiting/take-turns.ts';
import type { Metrics } from '../shared/observability/metrics.ts';

interface SweepDependencies extends WorkflowDependencies, AdmitDependencies {
  readonly metrics: Metrics;
  readonly startFailure: StartFailure;
  readonly leaseSeconds: number;
}

/** As Step Functions names it. An execution notices by itself that its host sends no heartbeats. */
const HOST_SILENT = { error: 'States.HeartbeatTimeout', cause: '' };

/** Time for one sweep, in milliseconds. The next sweep does the rest. */
const BUDGET_MS = 20_000;
/** Part of it for silent hosts. Waiting operations get the rest. */
const HOSTS_MS = 10_000;
/** Silent hosts of one tenant that are processed in parallel. */
const HOSTS_AT_ONCE = 8;
/** Containers of one host that become `Unknown` in one sweep. */
const CONTAINERS_PER_HOST = 200;
/** BatchGetItem reads at most 100 items. */
const HOSTS_PER_PAGE = 100;

interface Watched {
  readonly host: SweptHost;
  readonly link: HostLinkRecord | undefined;
}

type ListedHost = ReturnType<typeof parsePartitionKey>;

/**
 * Runs every minute and handles what no event triggers.
 *
 * - A host whose lease has expired becomes `Unknown` and gets no more containers. Its containers become `Unknown` too, as
 *   many per sweep as fit. They keep their reservations and are not started elsewhere. A concurrent heartbeat wins.
 * - An operation without an execution on such a host fails.
 * - Waiting operations are tried once more, and tasks whose answer was lost are answered again.
 *
 * A link that was read is read again only when its lease may have expired, so a connected host costs half a read unit per
 * lease, not per sweep. A new function instance reads all links once.
 *
 * Tenants take turns in random order, with equal shares of the time for hosts and of the time for operations. Newly silent
 * hosts come before those that are already `Unknown`, both in random order.
 */
export const createSweepHandler = (deps: SweepDependencies) => {
  const { table, now, random, leaseSeconds, logger, metrics } = deps;

  /** Link → when its host was last seen, for the hosts whose lease was valid when it was read. */
  const leases = new Map<string, number>();
  const leaseKey = ({ tenant, id }: ListedHost): string => `${tenant}#${id}`;
  const forgetExpired = (): void => {
    for (const [key, lastSeenAt] of leases)
      if (isSilent({ lastSeenAt }, now(), leaseSeconds)) leases.delete(key);
  };

  /** Reads the links of hosts whose lease may have expired, and the silent hosts themselves. */
  const findSilentOf = async (listed: readonly ListedHost[]): Promise<readonly Watched[]> => {
    const due = listed.filter((host) => !leases.has(leaseKey(host)));
    if (due.length === 0) return [];
    const items = await table.batchGet(
      due.map(({ tenant, id }) => keys.hostLink(tenant, id)),
      { project: SWEPT_LINK },
    );
    const links = new Map(readEach(table, items, parseHostLink).map((link) => [link.hostId, link]));
    const linked = new Set(items.map(({ pk }) => parsePartitionKey(pk?.S ?? '').id));
    const silent = due.filter((host) => {
      const link = links.get(host.id);
      // Whether a host is silent is not known if its link cannot be read.
      if (link === undefined) return !linked.has(host.id);
      if (isSilent(link, now(), leaseSeconds)) return true;
      leases.set(leaseKey(host), link.lastSeenAt);
      return false;
    });
    if (silent.length === 0) return [];
    const hosts = await table.batchGet(
      silent.map(({ tenant, id }) => keys.host(tenant, id)),
      { project: SWEPT_HOST },
    );
    return readEach(table, hosts, parseSweptHost).map((host) => ({ host, link: links.get(host.id) }));
  };

  async function* hostsOf(shard: number): AsyncGenerator<readonly ListedHost[]> {
    const options: QueryOptions = {
      index: 'gsi4',
      key: indexes.hostsToSweep(shard),
      sort: 'any',
      limit: HOSTS_PER_PAGE,
    };
    let after: QueryOptions['after'];
    do {
      const page = await table.query({ ...options, ...(after && { after }) });
      yield page.items.map(({ pk }) => parsePartitionKey(pk?.S ?? ''));
      after = page.after;
    } while (after !== undefined);
  }

  /** @returns whether the host is `Unknown` now */
  const silence = async ({ host, link }: Watched): Promise<boolean> => {
    if (host.state === 'Unknown' || host.state === 'Lost') return true;
    try {
      await table.transact(recordSilence(host, link === undefined ? [] : [noteSilence(link)]));
      metrics.count('hostSilent');
      logger.warn('host is silent', { tenant: host.tenant, hostId: host.id });
      return true;
    } catch (error) {
      // The host has sent a message or has changed. The next sweep reads it again.
      if (!(error instanceof ConditionFailed)) throw error;
      return false;
    }
  };

  /** Fails the operations of a silent host that no execution runs, until the time is over. */
  const failDirect = async (host: SweptHost, isOver: () => boolean): Promise<void> => {
    for (const command of await listOpenCommands(table, host.tenant, host.id)) {
      if (isOver()) return;
      if (command.state === 'answered') await answerStep(deps, command);
      else if (isDirect(command)) await deps.startFailure(command, HOST_SILENT);
    }
  };

  const sweepHost = async (watched: Watched, until: number): Promise<void> => {
    const { host, link } = watched;
    if (!(await silence(watched))) return;
    const speaker = { tenant: host.tenant, hostId: host.id };
    const isOver = () => now().getTime() > until;
    if (isOver()) return;
    await failDirect(host, isOver);
    if (isOver()) return;
    for (const id of await listRunning(table, speaker, CONTAINERS_PER_HOST)) {
      if (isOver()) return;
      await recordUnknown(deps, { tenant: host.tenant, containerId: id }, link);
    }
  };

  const sweepHosts = async (silent: readonly Watched[], until: number): Promise<void> => {
    const mixed = shuffle(silent, random);
    const isNoticed = ({ host }: Watched) => host.state === 'Unknown' || host.state === 'Lost';
    const queue = [...mixed.filter((one) => !isNoticed(one)), ...mixed.filter(isNoticed)];
    const work = async (): Promise<void> => {
      while (now().getTime() <= until) {
        const one = queue.shift();
        if (one === undefined) return;
        try {
          await sweepHost(one, until);
        } catch (error) {
          // Continue with the other hosts. The next sweep tries this one again.
          logger.error('could not sweep a host', { tenant: one.host.tenant, hostId: one.host.id }, error);
        }
      }
    };
    await Promise.all(Array.from({ length: HOSTS_AT_ONCE }, work));
  };

  /** All tenants that have hosts → their silent hosts. */
  const findSilent = async (): Promise<ReadonlyMap<string, readonly Watched[]>> => {
    forgetExpired();
    const found = new Map<string, Watched[]>();
    const readShard = async (shard: number): Promise<void> => {
      for await (const page of hostsOf(shard)) {
        for (const { tenant } of page) if (!found.has(tenant)) found.set(tenant, []);
        for (const watched of await findSilentOf(page)) found.get(watched.host.tenant)?.push(watched);
      }
    };
    const shards = await Promise.allSettled(
      Array.from({ length: HOST_SHARDS }, (_, shard) => readShard(shard)),
    );
    for (const shard of shards)
      if (shard.status === 'rejected') logger.error('could not sweep a shard', {}, shard.reason);
    return found;
  };

  const admit = async (tenant: string, until: number): Promise<void> => {
    try {
      const { complete } = await admitWaiting(deps, tenant, { until, answerAgain: true });
      if (!complete) logger.warn('more operations wait than one sweep can try', { tenant });
    } catch (error) {
      // Continue with the other tenants. The next sweep tries this one again.
      logger.error('waiting operations could not be tried', { tenant }, error);
    }
  };

  return async (): Promise<void> => {
    const start = now().getTime();
    const found = await findSilent();
    const silent = [...found.values()].filter((hosts) => hosts.length > 0);
    await takeTurns(silent, { now, random, end: start + HOSTS_MS }, sweepHosts);
    await takeTurns(found.keys(), { now, random, end: start + BUDGET_MS }, admit);
  };
};
