import { createHash } from 'node:crypto';
import type { ResolvedNetworkPolicy } from '../../../../core/contract/network.ts';
import { type PolicyStep, policySteps } from '../../../../core/network/network-policy.ts';
import { NETWORK_CIDR } from './addresses.ts';
import type { Endpoint } from './endpoint.ts';
import { beyondFlows, ipv4Only, type RouterSettings, TABLE } from './router-rules.ts';

/** Which way a packet goes, from the container's point of view, and how a rule names the other side. */
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
 * The set of addresses that the resolver has given this container for the names of a rule. Named after what the rule
 * says, so that a rule that a new policy keeps has its addresses still.
 */
export const domainSet = ({ address }: Endpoint, step: PolicyStep): string => {
  const key = JSON.stringify([step.verdict, step.domain, step.protocols, step.ports]);
  return `names_${hexOf(address)}_${createHash('sha256').update(key).digest('hex').slice(0, 12)}`;
};
/** Addresses that one rule's names can have at one time. */
const NAMES_SIZE = 4_096;

const oneOf = (words: readonly string[]): string => `{ ${words.join(', ')} }`;

const portsOf = (step: PolicyStep, direction: Direction): string => {
  const protocols = step.protocols ? `meta l4proto ${oneOf(step.protocols)} ` : '';
  if (!step.ports) return protocols;
  const ports = step.ports.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return `${protocols}th ${DIRECTIONS[direction].port} ${oneOf(ports)} `;
};

/** Matches for a step's addresses; null where it has none of IPv4. */
const addressesOf = (endpoint: Endpoint, step: PolicyStep, direction: Direction): string | null => {
  const peer = `ip ${DIRECTIONS[direction].peer}`;
  // The same lists in every policy: sets of the router's table.
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
 * The rules for one direction. Every packet of a connection that the container has opened is judged by the policy, in
 * both directions, until one is accepted: this marks the connection with the policy's generation, and what is marked
 * passes. So a new policy, whose generation is another, judges open connections again; and an address whose name's
 * time to live has passed is closed to new connections only.
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
    // Published ports: their connections are opened from outside, and were translated on their way in.
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
    // The switch's resolver is the only one, except where a rule allows another.
    `meta l4proto { tcp, udp } th ${DIRECTIONS[direction].port} { 53, 853 } ${drop}`,
    ...own.filter(isDefault).flatMap(rule),
  ];
};

const isFixed = ({ why }: PolicyStep): boolean => why === 'metadata' || why === 'host' || why === 'ceiling';

/**
 * Whether a step is about every connection to a name that is denied. The resolver alone refuses it: the name's addresses
 * may have other names too, and this one does not reveal them.
 */
export const isResolversAlone = ({ domain, verdict, protocols, ports }: PolicyStep): boolean =>
  domain !== undefined && verdict === 'deny' && protocols === undefined && ports === undefined;

/** Steps about addresses that names have, which the resolver tells the router. */
export const domainSteps = (steps: readonly PolicyStep[]): readonly PolicyStep[] =>
  steps.filter((step) => step.domain !== undefined && !isResolversAlone(step));

/** What the rules are made for. */
export const stepsOf = (
  policy: ResolvedNetworkPolicy,
  { allowPrivate }: Pick<RouterSettings, 'allowPrivate'>,
) =>
  // The host's own addresses are a set, which follows them.
  policySteps(policy, { allowPrivate, own: [] });

/** Sets of names by the rules that use them, each once. */
const domainSets = (endpoint: Endpoint, steps: readonly PolicyStep[]): ReadonlyMap<string, PolicyStep> =>
  new Map(domainSteps(steps).map((step) => [domainSet(endpoint, step), step]));

/**
 * Puts a policy in force for a container, as one transaction. With a policy before, it may be applied again; without
 * one it fails where anything is left of an earlier container with that address, and {@link removalRules} removes it.
 * @param generation other than that of the policy before
 * @param before what was in force; null for a container that has no rules yet
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
      // A flush or a deletion makes the kernel wait some 10 ms: for a new container there is nothing to flush.
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

/** Elements that let a container's link into its rules, and its published ports. */
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

/** Lets a container's link into its rules, which are there. Before that the router drops what it sends. */
export const linkRules = (endpoint: Endpoint): string => {
  const source = chainName('source', endpoint);
  return `${[
    `create chain ${TABLE} ${source}`,
    `add rule ${TABLE} ${source} ether saddr ${endpoint.mac} ip saddr ${endpoint.address} accept`,
    `add rule ${TABLE} ${source} counter name "${counterName(endpoint)}" drop`,
    ...linkElements(endpoint).map((element) => `add element ${element}`),
  ].join('\n')}\n`;
};

/** Removes all that {@link containerRules} and {@link linkRules} made, however much of it is there. */
export const removalRules = (endpoint: Endpoint, settings: RouterSettings): string => {
  const chains = (['from', 'to', 'source'] as const).map((kind) => chainName(kind, endpoint));
  const peers = `element ${TABLE} peers { ${endpoint.address} }`;
  const sets = [...domainSets(endpoint, stepsOf(endpoint.policy, settings)).keys()];
  // nft of Debian 12 has no "destroy": what is added first can be deleted in any case.
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
