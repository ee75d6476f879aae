import { itemsOf } from '../core/client/index.ts';
import type { Host } from '../core/contract/host.ts';
import type { Context } from './context.ts';
import { UsageError } from './errors.ts';

const ID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** The id of a host, from its id or name. The API accepts only ids. */
export const hostIdOf = async (context: Context, idOrName: string): Promise<string> => {
  if (ID.test(idOrName)) return idOrName.toLowerCase();
  const named: Host[] = [];
  for await (const host of itemsOf(context.client, 'listHosts', { query: { limit: '200' } }))
    if (host.name.toLowerCase() === idOrName.toLowerCase()) named.push(host);
  if (named.length === 1 && named[0] !== undefined) return named[0].id;
  const ids = named.map(({ id }) => id).join(', ');
  throw named.length === 0
    ? new UsageError(`There is no host "${idOrName}".`, 'bulkhead host list')
    : new UsageError(`${named.length} hosts have the name "${idOrName}".`, `Use the id: ${ids}.`);
};
