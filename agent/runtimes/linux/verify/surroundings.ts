import type { Endpoint } from '../network/endpoint.ts';

/** Maximum number of other containers that a verification tries to reach. */
const MAX_NEIGHBOURS = 8;

/** A container's network environment on its host. */
export interface Surroundings {
  readonly hasNetwork: boolean;
  /** Addresses of other containers that this container must not reach. Excludes its peers. */
  readonly neighbours: readonly string[];
}

const isPeer = (one: Endpoint, other: Endpoint): boolean =>
  one.policy.peers === 'switch' && other.policy.peers === 'switch';

/** @param ids the ids of all containers of the host */
export const surroundingsOf = async (
  id: string,
  ids: readonly string[],
  endpointOf: (id: string) => Promise<Endpoint | null>,
): Promise<Surroundings> => {
  const own = await endpointOf(id);
  if (own === null) return { hasNetwork: false, neighbours: [] };
  const others = await Promise.all(ids.filter((other) => other !== id).map(endpointOf));
  const neighbours = others
    .filter((other) => other !== null)
    .filter((other) => !isPeer(own, other))
    .map(({ address }) => address)
    .slice(0, MAX_NEIGHBOURS);
  return { hasNetwork: true, neighbours };
};
