import type { Bridge } from '../bridge.ts';
import { DockerError } from '../errors.ts';
import { checkFilters, type Filters, parseFilters } from '../translate/filters.ts';
import { type Handle, route } from './route.ts';
import { hostsOf } from './system.ts';

/** A switch of the hosts as a network of docker. Its addresses differ from host to host. */
const toNetwork = (name: string) => ({
  Id: name,
  Name: name,
  Driver: 'switch',
  Scope: 'local',
  EnableIPv6: false,
  Internal: false,
  Attachable: false,
  Ingress: false,
  IPAM: { Driver: 'default', Options: null, Config: [] },
  Options: {},
  Labels: {},
  Containers: {},
});
type Network = ReturnType<typeof toNetwork>;

const allNetworks = async (bridge: Bridge): Promise<Network[]> =>
  [...new Set((await hostsOf(bridge)).flatMap(({ switches }) => switches))].map(toNetwork);

const MATCHERS: Readonly<Record<string, (network: Network, value: string) => boolean>> = {
  name: ({ Name }, value) => Name.toLowerCase().includes(value.toLowerCase()),
  id: ({ Id }, value) => Id.startsWith(value),
  driver: ({ Driver }, value) => Driver === value,
  scope: ({ Scope }, value) => Scope === value,
  // All switches belong to hosts, and none has labels.
  type: (_, value) => value === 'builtin',
  dangling: (_, value) => value === 'false' || value === '0',
  label: () => false,
};

const isShown = (network: Network, filters: Filters): boolean =>
  Object.entries(filters).every(([name, values]) =>
    values.some((value) => MATCHERS[name]?.(network, value) === true),
  );

const list: Handle = async ({ bridge }, exchange) => {
  const filters = parseFilters(exchange.query.get('filters'));
  checkFilters(filters, Object.keys(MATCHERS));
  exchange.json(
    200,
    (await allNetworks(bridge)).filter((network) => isShown(network, filters)),
  );
};

/** Docker's names of the network that containers have by default. */
const DEFAULTS = ['bridge', 'default'];
/** The switch of containers that request none. */
const DEFAULT_SWITCH = 'NAT';

const inspect: Handle = async ({ bridge }, exchange) => {
  const reference = exchange.params.id ?? '';
  const name = DEFAULTS.includes(reference) ? DEFAULT_SWITCH : reference;
  const found = (await allNetworks(bridge)).find(({ Name }) => Name.toLowerCase() === name.toLowerCase());
  if (found === undefined) throw new DockerError(404, `network ${reference} not found`);
  exchange.json(200, found);
};

export const NETWORK_ROUTES = [
  route('GET', '/networks', list),
  route('GET', '/networks/{id}', inspect, { verbose: 'network inspect --verbose' }),
];
