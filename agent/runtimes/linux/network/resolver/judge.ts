import type { Answer, Packet, Question, StringAnswer } from 'dns-packet';
import { contains, parseAddress, parseCidr } from '../../../../../core/contract/ip-address.ts';
import { METADATA_ADDRESSES, NON_PUBLIC_CIDRS } from '../../../../../core/network/address-ranges.ts';
import { matchesDomain } from '../../../../../core/network/network-policy.ts';
import { domainSet, domainSteps, isResolversAlone, stepsOf } from '../container-rules.ts';
import type { ContainerPolicy } from './container-policy.ts';

/** An address of a name in a container's rule: an element of the rule's set. */
export interface Grant {
  readonly set: string;
  readonly address: string;
  readonly ttlSeconds: number;
}

/** Upper bound of the time to live, so that an address is not open for days after its name has moved. */
const MAX_TTL_SECONDS = 3_600;
const MAX_ADDRESSES = 64;
/** Maximum number of records of an answer to read, of all types. */
const MAX_RECORDS = 256;

export const nameOf = (text: string): string => text.toLowerCase().replace(/\.$/, '');

/** Whether a container's policy allows it to resolve the name. */
export const mayResolve = (policy: ContainerPolicy, name: string): boolean => {
  const steps = stepsOf(policy.endpoint.policy, policy);
  const matching = steps.filter(({ domain }) => domain !== undefined && matchesDomain(domain, name));
  if (matching.some(isResolversAlone)) return false;
  return (
    policy.endpoint.policy.egress.default === 'allow' || matching.some(({ verdict }) => verdict === 'allow')
  );
};

const inAny = (ranges: readonly string[], text: string): boolean => {
  const address = parseAddress(text);
  return (
    address !== null &&
    ranges.some((range) => {
      const parsed = parseCidr(range);
      return parsed !== null && contains(parsed, address);
    })
  );
};

/** Whether the container could connect to the address. The router enforces this; this check only filters out useless answers. */
const isReachable = ({ endpoint, allowPrivate }: ContainerPolicy, address: string): boolean => {
  if (inAny(METADATA_ADDRESSES, address)) return false;
  if (!inAny(NON_PUBLIC_CIDRS, address)) return true;
  const opened = endpoint.policy.egress.allow.flatMap(({ cidr }) => cidr ?? []);
  return inAny(allowPrivate, address) && inAny(opened, address);
};

const isAddress = (answer: Answer): answer is StringAnswer => answer.type === 'A' || answer.type === 'AAAA';
const hasTtl = (answer: Answer): answer is Extract<Answer, { ttl?: number | undefined }> => 'ttl' in answer;
const ttlOf = (answer: Answer): number =>
  Math.max(1, Math.min(hasTtl(answer) ? (answer.ttl ?? 0) : 0, MAX_TTL_SECONDS));

/** The question's name and all names that it is an alias of. */
const aliasesOf = (question: Question, answers: readonly Answer[]): ReadonlySet<string> => {
  const names = new Set([nameOf(question.name)]);
  // Each pass follows the aliases one step further, because an answer can list them in any order.
  for (let size = 0; size < names.size; ) {
    size = names.size;
    for (const answer of answers)
      if (answer.type === 'CNAME' && names.has(nameOf(answer.name))) names.add(nameOf(answer.data));
  }
  return names;
};

interface Judged {
  /** The records for the container; null if the query is refused. */
  readonly answers: readonly Answer[] | null;
  /** The grants that the router needs before the container gets the records. */
  readonly grants: readonly Grant[];
}

/**
 * Selects the records of an answer for a container. Only records of the requested name and its aliases are used, so that an
 * answer cannot open addresses for other names. A rule applies to the name that the container requested.
 */
export const judgeAnswer = (policy: ContainerPolicy, question: Question, response: Packet): Judged => {
  const all = (response.answers ?? []).slice(0, MAX_RECORDS);
  const aliases = aliasesOf(question, all);
  if ([...aliases].slice(1).some((name) => isDenied(policy, name))) return { answers: null, grants: [] };
  const answers = all
    .filter((answer) => aliases.has(nameOf(answer.name)))
    .filter((answer) => !isAddress(answer) || (answer.type === 'A' && isReachable(policy, answer.data)))
    .map((answer) => ({ ...answer, ttl: ttlOf(answer) }) as Answer);
  const addresses = answers.filter(isAddress).slice(0, MAX_ADDRESSES);
  const kept = answers.filter((answer) => !isAddress(answer) || addresses.includes(answer));
  const name = nameOf(question.name);
  const sets = domainSteps(stepsOf(policy.endpoint.policy, policy))
    .filter(({ domain }) => matchesDomain(domain ?? '', name))
    .map((step) => domainSet(policy.endpoint, step));
  const grants = [...new Set(sets)].flatMap((set) =>
    addresses.map((answer) => ({ set, address: answer.data, ttlSeconds: ttlOf(answer) })),
  );
  return { answers: kept, grants };
};

const isDenied = ({ endpoint, allowPrivate }: ContainerPolicy, name: string): boolean =>
  stepsOf(endpoint.policy, { allowPrivate }).some(
    (step) => isResolversAlone(step) && matchesDomain(step.domain ?? '', name),
  );
