import * as z from 'zod/mini';
import { runOrFail } from '../run-command.ts';

const RoutesSchema = z.array(z.looseObject({ type: z.optional(z.string()), dst: z.string() }));
const OWN_TYPES = ['local', 'broadcast'];

/**
 * Reads the host's local IPv4 addresses as CIDR ranges from its local routing table, which also contains addresses of interfaces
 * that are down, and whole local ranges.
 */
export const readHostAddresses = async (): Promise<readonly string[]> => {
  const command = ['-4', '-json', 'route', 'show', 'table', 'local'];
  const text = await runOrFail('The addresses of the host could not be read', 'ip', command);
  return z
    .parse(RoutesSchema, JSON.parse(text || '[]'))
    .filter(({ type }) => OWN_TYPES.includes(type ?? ''))
    .map(({ dst }) => dst)
    .sort();
};
