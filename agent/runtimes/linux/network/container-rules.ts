import { createHash } from 'node:crypto';
import type { ResolvedNetworkPolicy } from '../../../../core/contract/network.ts';
import { type PolicyStep, policySteps } from '../../../../core/network/network-policy.ts';
import { NETWORK_CIDR } from './addresses.ts';
import type { Endpoint } from './endpoint.ts';
import { beyondFlows, ipv4Only, type RouterSettings, TABLE } from './router-rules.ts';

/** The direction of a packet relative to the container, and the fields of the other side. */
const DIRECTIONS = {
  from: { peer: 'daddr', port: 'dport' },
  to: { peer: 'saddr', port: 'sport' },
} as const;
type Direction = keyof typeof DIRECTIONS;

const hexOf = (address: string): string =>
  address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('');
export const counterName = ({ address }: Endpoint): string => `dropped_${hexOf(address)}`;
const chainName = (kind: 'source' | Direction, { address }: Endpoint): string => `${kind}_${hexOf(address)}`;

/**
 * The set of addresses that the resolver has returned to this container for the names of a rule. Its name depends on the rule's
 * content, so that a rule that is also in a new policy keeps its addresses.
 */
export const domainSet = ({ address }: Endpoint, step: PolicyStep): string => {
  const key = JSON.stringify([step.verdict, step.domain, step.protocols, step.ports]);
  return `names_${hexOf(address)}_${createHash('sha256').update(key).digest('hex').slice(0, 12)}`;
};
/** Maximum number of addresses for the names of one rule. */
export const NAMES_SIZE = 4_096;

const oneOf = (words: readonly string[]): string => `{ ${words.join(', ')} }`;

const portsOf = (step: PolicyStep, direction: Direction): string => {
  const protocols = step.protocols ? `meta l4proto ${oneOf(step.protocols)} ` : '';
  if (!step.ports) return protocols;
  const ports = step.ports.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return `${protocols}th ${DIRECTIONS[direction].port} ${oneOf(ports)} `;
};

/** Matches for a step's addresses; null if it has no IPv4 addresses. */
const addressesOf = (endpoint: Endpoint, step: PolicyStep, direction: Direction): string | null => {
  const peer = `ip ${DIRECTIONS[direction].peer}`;
  // These lists are the same in every policy, so they are sets of the router's table.
  if (step.why === 'metadata') return `${peer} @metadata `;
  if (step.why === 'host') return `${peer} @host_addresses `;
  if (step.why === 'ceiling') return `${peer} @non_public ${peer} != @ceiling `;
  const except = step.except.length > 0 ? `${peer} != @non_public ` : '';
  if (step.domain !== undefined) return `${except}${peer} @${domainSet(endpoint, step)} `;
  if (step.within === null) return except;
  const within = ipv4Only(step.within);
  return within.length === 0 ? null : `${except}${peer} ${oneOf(within)} `;
};

const stepRule = (
  endpoint: Endpoint,
  step: PolicyStep,
  direction: Direction,
  accept: string,
): readonly string[] => {
  if (isResolversAlone(step)) return [];
  const addresses = addressesOf(endpoint, step, direction);
  if (addresses === null) return [];
  const drop = `counter name "${counterName(endpoint)}" drop`;
  return [`${addresses}${portsOf(step, direction)}${step.verdict === 'allow' ? accept : drop}`];
};

/**
 * The rules for one direction. The policy is applied to each packet of a connection that the container opens, in both
 * directions, until one packet is accepted. That marks the connection with the policy's generation, and packets of marked
 * connections pass. A new policy has another generation, so it also applies to open connections. When the time to live of a
 * name has passed, its address is closed only for new connections.
 */
const directionRules = (
  endpoint: Endpoint,
  steps: readonly PolicyStep[],
  direction: Direction,
  { flowLimit, generation }: { flowLimit: number; generation: number },
): string[] => {
  const drop = `counter name "${counterName(endpoint)}" drop`;
  const isFrom = direction === 'from';
  const [fixed, own] = [steps.filter(isFixed), steps.filter((step) => !isFixed(step))];
  const rule = (step: PolicyStep) => stepRule(endpoint, step, direction, `ct mark set ${generation} accept`);
  const isDefault = (step: PolicyStep) => step.why === 'default';
  return [
    // Connections to published ports are opened from outside, and have been translated by DNAT.
    `ct direction ${isFrom ? 'reply' : 'original'} ct status dnat accept`,
    ...(isFrom
      ? [
          `${beyondFlows(flowLimit)} ${drop}`,
          `ip daddr ${NETWORK_CIDR} ip saddr @peers ip daddr @peers accept`,
        ]
      : ['ct direction original drop']),
    `ip ${DIRECTIONS[direction].peer} ${NETWORK_CIDR} ${drop}`,
    ...fixed.flatMap(rule),
    `ct mark ${generation} accept`,
    ...own.filter((step) => !isDefault(step)).flatMap(rule),
    // Only the switch's resolver can be used, unless a rule allows another.
    `meta l4proto { tcp, udp } th ${DIRECTIONS[direction].port} { 53, 853 } ${drop}`,
    ...own.filter(isDefault).flatMap(rule),
  ];
};

const isFixed = ({ why }: PolicyStep): boolean => why === 'metadata' || why === 'host' || why === 'ceiling';

/**
 * Whether a step denies all connections to a name. Only the resolver enforces it, because the name's addresses may also belong
 * to other names, and the resolver does not return them for this name.
 */
export const isResolversAlone = ({ domain, verdict, protocols, ports }: PolicyStep): boolean =>
  domain !== undefined && verdict === 'deny' && protocols === undefined && ports === undefined;

/** Steps with names, whose addresses the resolver adds to the router. */
export const domainSteps = (steps: readonly PolicyStep[]): readonly PolicyStep[] =>
  steps.filter((step) => step.domain !== undefined && !isResolversAlone(step));

/** The policy steps for the rules. */
export const stepsOf = (
  policy: ResolvedNetworkPolicy,
  { allowPrivate }: Pick<RouterSettings, 'allowPrivate'>,
) =>
  // The host's addresses are a set that is updated separately.
  policySteps(policy, { allowPrivate, own: [] });

/** The sets of names, each with the step that uses it. */
const domainSets = (endpoint: Endpoint, steps: readonly PolicyStep[]): ReadonlyMap<string, PolicyStep> =>
  new Map(domainSteps(steps).map((step) => [domainSet(endpoint, step), step]));

/**
 * Applies a policy to a container in one transaction. If there is an earlier policy, this can be repeated. Otherwise it fails
 * if rules of an earlier container with that address exist; {@link removalRules} removes them.
 * @param generation must differ from the generation of the earlier policy
 * @param before the steps of the earlier policy; null for a container without rules
 */
export const containerRules = (
  endpoint: Endpoint,
  settings: RouterSettings,
  generation: number,
  before: ResolvedNetworkPolicy | null,
): string => {
  const steps = stepsOf(endpoint.policy, settings);
  const sets = domainSets(endpoint, steps);
  const unused =
    before === null
      ? []
      : [...domainSets(endpoint, stepsOf(before, settings)).keys()].filter((name) => !sets.has(name));
  const chains = (['from', 'to'] as const).map((direction) => ({
    name: chainName(direction, endpoint),
    rules: directionRules(endpoint, steps, direction, { ...settings, generation }),
  }));
  const peers = `element ${TABLE} peers { ${endpoint.address} }`;
  return `${[
    `add counter ${TABLE} ${counterName(endpoint)}`,
    ...[...sets.keys()].map(
      (name) => `add set ${TABLE} ${name} { type ipv4_addr; size ${NAMES_SIZE}; flags timeout; }`,
    ),
    ...chains.flatMap(({ name, rules }) => [
      // A flush takes the kernel about 10 ms, and a new container has nothing to flush.
      ...(before === null
        ? [`create chain ${TABLE} ${name}`]
        : [`add chain ${TABLE} ${name}`, `flush chain ${TABLE} ${name}`]),
      ...rules.map((rule) => `add rule ${TABLE} ${name} ${rule}`),
    ]),
    ...unused.flatMap((name) => [
      `add set ${TABLE} ${name} { type ipv4_addr; size ${NAMES_SIZE}; flags timeout; }`,
      `delete set ${TABLE} ${name}`,
    ]),
    ...(before === null && endpoint.policy.peers === 'none' ? [] : [`add ${peers}`]),
    ...(before !== null && endpoint.policy.peers === 'none' ? [`delete ${peers}`] : []),
  ].join('\n')}\n`;
};

/** Elements that connect a container's link and published ports to its rules. */
const linkElements = (endpoint: Endpoint): readonly string[] => [
  ...(['from', 'to'] as const).map(
    (direction) => `${TABLE} ${direction} { "${endpoint.device}" : jump ${chainName(direction, endpoint)} }`,
  ),
  `${TABLE} sources { "${endpoint.device}" : jump ${chainName('source', endpoint)} }`,
  `arp bulkhead senders { "${endpoint.device}" . ${endpoint.address} . ${endpoint.mac} }`,
  ...endpoint.ports.map(
    ({ hostPort, containerPort, protocol }) =>
      `${TABLE} published_${protocol} { ${hostPort} : ${endpoint.address} . ${containerPort} }`,
  ),
];

/** Connects a container's link to its existing rules. Until then the router drops the container's packets. */
export const linkRules = (endpoint: Endpoint): string => {
  const source = chainName('source', endpoint);
  return `${[
    `create chain ${TABLE} ${source}`,
    `add rule ${TABLE} ${source} ether saddr ${endpoint.mac} ip saddr ${endpoint.address} accept`,
    `add rule ${TABLE} ${source} counter name "${counterName(endpoint)}" drop`,
    ...linkElements(endpoint).map((element) => `add element ${element}`),
  ].join('\n')}\n`;
};

/** Removes the rules of {@link containerRules} and {@link linkRules}, even if only some exist. */
export const removalRules = (endpoint: Endpoint, settings: RouterSettings): string => {
  const chains = (['from', 'to', 'source'] as const).map((kind) => chainName(kind, endpoint));
  const peers = `element ${TABLE} peers { ${endpoint.address} }`;
  const sets = [...domainSets(endpoint, stepsOf(endpoint.policy, settings)).keys()];
  // Debian 12's nft has no "destroy". Adding an element first makes its deletion succeed in any case.
  return `${[
    ...chains.map((name) => `add chain ${TABLE} ${name}`),
    ...linkElements(endpoint).flatMap((element) => [`add element ${element}`, `delete element ${element}`]),
    `add ${peers}`,
    `delete ${peers}`,
    ...chains.flatMap((name) => [`flush chain ${TABLE} ${name}`, `delete chain ${TABLE} ${name}`]),
    ...sets.flatMap((name) => [
      `add set ${TABLE} ${name} { type ipv4_addr; size ${NAMES_SIZE}; flags timeout; }`,
      `delete set ${TABLE} ${name}`,
    ]),
    `add counter ${TABLE} ${counterName(endpoint)}`,
    `delete counter ${TABLE} ${counterName(endpoint)}`,
  ].join('\n')}\n`;
};
