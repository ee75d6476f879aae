import {
  decode,
  encode,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { Clock } from '../../../../clock.ts';
import type { ContainerPolicy } from './container-policy.ts';
import type { FairShare } from './fair-share.ts';
import { type Grant, judgeAnswer, mayResolve } from './judge.ts';

interface ResolverDeps {
  /** The policy of the container with that address; null if there is none. */
  readonly policyOf: (address: string) => Promise<ContainerPolicy | null>;
  readonly ask: (question: Question) => Promise<Packet>;
  /** Resolves when the router allows the container to connect to those addresses. */
  readonly grant: (grants: readonly Grant[]) => Promise<void>;
  readonly share: FairShare;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export const MAX_QUERY_BYTES = 512;
/** The length field of a message over TCP has 16 bits. */
const MAX_ANSWER_BYTES = 65_535;
const PLAIN_UDP_BYTES = 512;
const MAX_UDP_BYTES = 1_232;
const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
/** Zone transfers, and queries for all records. */
const NOT_ANSWERED = ['AXFR', 'IXFR', 'ANY'];

interface Query {
  readonly id: number;
  readonly question: Question;
  /** Maximum size of a datagram with the answer. */
  readonly udpBytes: number;
}

/** Parses a query; null if it is invalid. */
const readQuery = (bytes: Buffer): Query | null => {
  if (bytes.length > MAX_QUERY_BYTES) return null;
  try {
    const { id, type, questions, additionals, flags } = decode(bytes) as Packet & { opcode?: string };
    const [question] = questions ?? [];
    if (type !== 'query' || questions?.length !== 1 || question === undefined) return null;
    if (((flags ?? 0) & 0x7800) !== 0 || (question.class ?? 'IN') !== 'IN') return null;
    const opt = additionals?.find((one) => one.type === 'OPT') as { udpPayloadSize?: number } | undefined;
    const offered = opt?.udpPayloadSize ?? PLAIN_UDP_BYTES;
    return { id: id ?? 0, question, udpBytes: Math.min(Math.max(offered, PLAIN_UDP_BYTES), MAX_UDP_BYTES) };
  } catch {
    return null;
  }
};

const reply = ({ id, question }: Query, rcode: number, answers: Packet['answers'] = []): Buffer =>
  encode({
    type: 'response',
    id,
    // The lowest bits of the flags are the response code.
    flags: RECURSION_DESIRED | RECURSION_AVAILABLE | rcode,
    questions: [question],
    answers,
  });

const rcodeOf = (response: Packet): number => {
  const name = (response as Packet & { rcode?: string }).rcode ?? 'NOERROR';
  return name === 'NOERROR' || name === 'NXDOMAIN' ? RCODE[name] : RCODE.SERVFAIL;
};

/**
 * Answers DNS queries of containers. The source address identifies the container and cannot be forged. A name that the policy
 * denies is refused. The router gets the addresses of a rule before the container does. There is no cache, so that a container
 * learns nothing about the queries of others.
 */
export class Resolver {
  readonly #deps: ResolverDeps;

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
  }

  /** Answers a datagram; null if there is no answer. */
  async answerDatagram(source: string, bytes: Buffer): Promise<Buffer | null> {
    const query = readQuery(bytes);
    if (query === null) return null;
    const answer = await this.#answer(source, query);
    if (answer === null || answer.length <= query.udpBytes) return answer;
    // A truncated answer makes the container retry over TCP.
    const empty = reply(query, RCODE.NOERROR);
    empty.writeUInt16BE(empty.readUInt16BE(2) | TRUNCATED_RESPONSE, 2);
    return empty;
  }

  /** Answers a message over TCP; null if there is no answer. */
  async answerMessage(source: string, bytes: Buffer): Promise<Buffer | null> {
    const query = readQuery(bytes);
    return query === null ? null : this.#answer(source, query);
  }

  async #answer(source: string, query: Query): Promise<Buffer | null> {
    const { share, policyOf, clock } = this.#deps;
    // Checked first, so that a flood of queries is cheap.
    if (!share.begin(source, clock.monotonicMs())) return null;
    let isKnown = true;
    try {
      const policy = await policyOf(source);
      isKnown = policy !== null;
      return policy && (await this.#resolve(policy, query));
    } catch {
      return reply(query, RCODE.SERVFAIL);
    } finally {
      share.done(source);
      if (!isKnown) share.forget(source);
    }
  }

  async #resolve(policy: ContainerPolicy, query: Query): Promise<Buffer> {
    const { question } = query;
    if (NOT_ANSWERED.includes(question.type)) return reply(query, RCODE.NOTIMP);
    if (!mayResolve(policy, question.name)) return reply(query, RCODE.REFUSED);
    // Containers have no IPv6.
    if (question.type === 'AAAA') return reply(query, RCODE.NOERROR);
    const response = await this.#deps.ask(question);
    const { answers, grants } = judgeAnswer(policy, question, response);
    if (answers === null) return reply(query, RCODE.REFUSED);
    if (grants.length > 0) await this.#deps.grant(grants);
    // Names are not compressed, so the answer may be larger than the upstream answer.
    const answer = reply(query, rcodeOf(response), [...answers]);
    return answer.length > MAX_ANSWER_BYTES ? reply(query, RCODE.SERVFAIL) : answer;
  }
}
