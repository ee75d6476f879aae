import { getLink } from '../../store/host-links.ts';
import { getSession } from '../../store/sessions.ts';
import type { Table } from '../../store/table.ts';

/** What is needed to forward the frames of a session. */
export interface Ends {
  readonly hostId: string;
  readonly client: string | null;
  readonly isOpen: boolean;
}

/** Number of cached sessions, and for how long an entry is valid, in milliseconds. */
const MOST = 1_000;
const FRESH_MS = 10_000;

/** A cache with a time limit, a size limit and invalidation. */
const createCache = <T>(
  monotonic: () => number,
  read: (tenant: string, id: string) => Promise<T | undefined>,
) => {
  const known = new Map<string, { readonly value: T; readonly at: number }>();
  return {
    find: async (tenant: string, id: string): Promise<T | undefined> => {
      const key = `${tenant}#${id}`;
      const found = known.get(key);
      if (found !== undefined && monotonic() - found.at < FRESH_MS) return found.value;
      known.delete(key);
      const value = await read(tenant, id);
      if (value === undefined) return undefined;
      const oldest = known.size >= MOST ? known.keys().next().value : undefined;
      if (oldest !== undefined) known.delete(oldest);
      known.set(key, { value, at: monotonic() });
      return value;
    },
    forget: (tenant: string, id: string): void => void known.delete(`${tenant}#${id}`),
  };
};

/**
 * The two connections of each session, cached in memory: only the first frame costs a read. A connection that turns out
 * to be closed is read again.
 */
export const createConnections = ({
  table,
  monotonic,
}: {
  readonly table: Table;
  readonly monotonic: () => number;
}) => ({
  sessions: createCache<Ends>(monotonic, async (tenant, id) => {
    const session = await getSession(table, tenant, id);
    if (session === undefined) return undefined;
    const { hostId, state } = session.view;
    return { hostId, client: session.connectionId, isOpen: state === 'Open' };
  }),
  hosts: createCache<string>(
    monotonic,
    async (tenant, id) => (await getLink(table, tenant, id))?.connectionId ?? undefined,
  ),
});
