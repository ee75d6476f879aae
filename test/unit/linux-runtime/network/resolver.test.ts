import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { type Answer, decode, encode, type Packet, type Question, RECURSION_DESIRED } from 'dns-packet';
import fc from 'fast-check';
import type { ContainerPolicy } from '../../../../agent/runtimes/linux/network/resolver/container-policy.ts';
import { FairShare } from '../../../../agent/runtimes/linux/network/resolver/fair-share.ts';
import {
  type Grant,
  judgeAnswer,
  mayResolve,
} from '../../../../agent/runtimes/linux/network/resolver/judge.ts';
import {
  containerResolvConf,
  parseNameServers,
} from '../../../../agent/runtimes/linux/network/resolver/name-servers.ts';
import { Resolver } from '../../../../agent/runtimes/linux/network/resolver/resolver.ts';
import { serveConnection } from '../../../../agent/runtimes/linux/network/resolver/serve.ts';
import { DEFAULT_NETWORK_POLICY, type ResolvedNetworkPolicy } from '../../../../core/contract/network.ts';

const ADDRESS = '10.213.1.2';
const policyWith = (
  egress: Partial<ResolvedNetworkPolicy['egress']> = {},
  allowPrivate: string[] = [],
): ContainerPolicy => ({
  endpoint: {
    device: 'bhvabc',
    namespace: null,
    address: ADDRESS,
    mac: '02:bb:0a:d5:01:02',
    ports: [],
    policy: { egress: { ...DEFAULT_NETWORK_POLICY.egress, ...egress }, peers: 'none' },
    complete: true,
  },
  allowPrivate,
});
const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, data, ttl });
const cname = (name: string, data: string): Answer => ({ type: 'CNAME', name, data, ttl: 60 });
const asked = (name: string, type: Question['type'] = 'A'): Question => ({ name, type, class: 'IN' });
const response = (...answers: Answer[]): Packet => ({ type: 'response', answers });
const addressesIn = (answers: readonly Answer[] | null) =>
  (answers ?? []).flatMap((answer) => (answer.type === 'A' ? [answer.data] : []));

describe('the names that a container can resolve', () => {
  test('are all except denied names with the default allow, and only allowed names with the default deny', () => {
    const open = policyWith({ deny: [{ domain: '*.bad.example' }] });
    expect(mayResolve(open, 'good.example')).toBe(true);
    expect(mayResolve(open, 'WWW.bad.example.')).toBe(false);
    const closed = policyWith({ default: 'deny', allow: [{ domain: 'a.example' }, { cidr: '11.0.0.0/8' }] });
    expect(mayResolve(closed, 'A.Example')).toBe(true);
    expect(mayResolve(closed, 'b.a.example')).toBe(false);
    expect(mayResolve(closed, 'example')).toBe(false);
  });

  test('include a name that is denied only for some ports, whose addresses the router gets', () => {
    const policy = policyWith({ deny: [{ domain: 'a.example', ports: [25] }] });
    expect(mayResolve(policy, 'a.example')).toBe(true);
    expect(judgeAnswer(policy, asked('a.example'), response(a('a.example', '11.0.0.1'))).grants).toHaveLength(
      1,
    );
  });
});

describe('the records that a container gets', () => {
  test('exclude unreachable addresses, such as DNS rebinding to a private network or to metadata', () => {
    const reach = (policy: ContainerPolicy) =>
      addressesIn(
        judgeAnswer(
          policy,
          asked('a.example'),
          response(
            ...['11.0.0.1', '10.20.0.1', '169.254.169.254', '127.0.0.1'].map((one) => a('a.example', one)),
          ),
        ).answers,
      );
    expect(reach(policyWith())).toEqual(['11.0.0.1']);
    expect(reach(policyWith({ allow: [{ cidr: '10.20.0.0/16' }] }))).toEqual(['11.0.0.1']);
    expect(reach(policyWith({ allow: [{ cidr: '10.20.0.0/16' }] }, ['10.0.0.0/8']))).toEqual([
      '11.0.0.1',
      '10.20.0.1',
    ]);
  });

  test('follow aliases in any order, and records of other names open no address', () => {
    const policy = policyWith({ default: 'deny', allow: [{ domain: 'a.example' }] });
    const all = [
      a('c.example', '11.0.0.3'),
      cname('b.example', 'c.example'),
      cname('a.example', 'b.example'),
      a('x.example', '11.9.9.9'),
    ];
    const { answers, grants } = judgeAnswer(policy, asked('a.example'), response(...all));
    expect(addressesIn(answers)).toEqual(['11.0.0.3']);
    expect(grants.map(({ address }) => address)).toEqual(['11.0.0.3']);
  });

  test('exclude an alias of a denied name', () => {
    const policy = policyWith({ deny: [{ domain: 'bad.example' }] });
    const answer = response(cname('a.example', 'bad.example'), a('bad.example', '11.0.0.1'));
    expect(judgeAnswer(policy, asked('a.example'), answer)).toEqual({ answers: null, grants: [] });
  });

  test('have times to live between a second and an hour', () => {
    const policy = policyWith({ default: 'deny', allow: [{ domain: 'a.example' }] });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (ttl) => {
        const { answers, grants } = judgeAnswer(
          policy,
          asked('a.example'),
          response(a('a.example', '11.0.0.1', ttl)),
        );
        expect(grants[0]?.ttlSeconds).toBe(Math.min(Math.max(ttl, 1), 3_600));
        expect(answers?.[0]).toMatchObject({ ttl: grants[0]?.ttlSeconds });
      }),
    );
  });

  test('are found even if aliases form a cycle', () => {
    const answer = response(cname('a.example', 'b.example'), cname('b.example', 'a.example'));
    expect(judgeAnswer(policyWith(), asked('a.example'), answer).answers).toHaveLength(2);
  });
});

describe('the resolver', () => {
  const query = (name: string, type: Question['type'] = 'A', id = 7): Buffer =>
    encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [asked(name, type)] });
  const open = (
    policy: ContainerPolicy | null,
    answer: (question: Question) => Promise<Packet>,
    perSecond = 100,
  ) => {
    const events: string[] = [];
    const granted: Grant[] = [];
    const resolver = new Resolver({
      policyOf: async () => policy,
      ask: (question) => {
        events.push(`ask ${question.name}`);
        return answer(question);
      },
      grant: async (grants) => {
        events.push('grant');
        granted.push(...grants);
      },
      share: new FairShare({ perSecond, outstanding: 2, total: 100 }),
      clock: { monotonicMs: () => 0 },
    });
    const send = async (bytes: Buffer) => {
      const datagram = await resolver.answerDatagram(ADDRESS, bytes);
      return datagram === null ? null : decode(datagram);
    };
    return { send, events, granted, resolver };
  };
  const yes = async ({ name }: Question) => response(a(name, '11.0.0.1'));

  test('updates the router before it answers the container', async () => {
    const policy = policyWith({ default: 'deny', allow: [{ domain: 'a.example' }] });
    const { send, events, granted } = open(policy, yes);
    expect(await send(query('a.example'))).toMatchObject({
      id: 7,
      rcode: 'NOERROR',
      answers: [{ data: '11.0.0.1' }],
    });
    expect(events).toEqual(['ask a.example', 'grant']);
    expect(granted[0]).toMatchObject({ address: '11.0.0.1', ttlSeconds: 60 });
  });

  test('refuses a denied name without a query, and returns no IPv6 addresses', async () => {
    const { send, events } = open(policyWith({ default: 'deny' }), yes);
    expect(await send(query('secret.example'))).toMatchObject({ rcode: 'REFUSED', answers: [] });
    expect(events).toEqual([]);
    expect(await open(policyWith(), yes).send(query('a.example', 'AAAA'))).toMatchObject({
      rcode: 'NOERROR',
      answers: [],
    });
  });

  test('reports a failure, and refuses zone transfers', async () => {
    const { send } = open(policyWith(), async () => Promise.reject(new TypeError('silent')));
    expect(await send(query('a.example'))).toMatchObject({ rcode: 'SERVFAIL' });
    expect(await send(query('a.example', 'AXFR'))).toMatchObject({ rcode: 'NOTIMP' });
  });

  test('truncates an answer that is too large for a datagram, but not over TCP', async () => {
    const many = async ({ name }: Question) =>
      response(...Array.from({ length: 60 }, (_, index) => a(name, `11.0.0.${index}`)));
    const { send, resolver } = open(policyWith(), many);
    expect(await send(query('a.example'))).toMatchObject({ flag_tc: true, answers: [] });
    const whole = await resolver.answerMessage(ADDRESS, query('a.example'));
    expect(decode(whole ?? Buffer.alloc(0)).answers).toHaveLength(60);
  });

  test('reports a failure if an answer without compression exceeds the limit of TCP', async () => {
    const name = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.example`;
    const texts = async (): Promise<Packet> =>
      response(
        ...Array.from({ length: 250 }, (): Answer => ({ type: 'TXT', name, data: 'x'.repeat(80), ttl: 1 })),
      );
    const { resolver } = open(policyWith(), texts);
    const answer = await resolver.answerMessage(ADDRESS, query(name, 'TXT'));
    expect(decode(answer ?? Buffer.alloc(0))).toMatchObject({ rcode: 'SERVFAIL', answers: [] });
  });

  test('limits the number of records of all types', () => {
    const texts = Array.from(
      { length: 4_000 },
      (): Answer => ({ type: 'TXT', name: 'a.example', data: 'x' }),
    );
    expect(judgeAnswer(policyWith(), asked('a.example', 'TXT'), response(...texts)).answers).toHaveLength(
      256,
    );
  });

  test('closes only the connection of a query that fails', async () => {
    const resolver = { answerMessage: () => Promise.reject(new TypeError('broken')) };
    const server = createServer((socket) => serveConnection(resolver, socket, ADDRESS));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.resume();
    client.write(Buffer.from([0, 1, 0]));
    await once(client, 'close');
    server.close();
    await once(server, 'close');
  });

  test('stops answering a container that does not read its answers', async () => {
    let answered = 0;
    const resolver = {
      answerMessage: async () => {
        answered += 1;
        return Buffer.alloc(60_000);
      },
    };
    const accepted = Promise.withResolvers<Socket>();
    const server = createServer((socket) => {
      serveConnection(resolver, socket, ADDRESS);
      accepted.resolve(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    // Without a handler for data, the socket reads nothing.
    client.on('error', () => {});
    client.write(Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.from([0, 1, 0]))));
    const socket = await accepted.promise;
    while (!socket.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
    const before = answered;
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(before);
    expect(answered).toBeLessThan(500);
    expect(socket.writableLength).toBeLessThan(200_000);
    // Not `once` of node:events, which fails if the client's end is reported as an error.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    client.destroy();
    await closed;
    server.close();
    await once(server, 'close');
  });

  test('does not read a policy for each query of a flood', async () => {
    let reads = 0;
    const resolver = new Resolver({
      policyOf: async () => {
        reads++;
        return policyWith();
      },
      ask: yes,
      grant: async () => {},
      share: new FairShare({ perSecond: 5, outstanding: 5, total: 100 }),
      clock: { monotonicMs: () => 0 },
    });
    const flood = Array.from({ length: 1_000 }, () => resolver.answerDatagram(ADDRESS, query('a.example')));
    const answers = await Promise.all(flood);
    expect(answers.filter((answer) => answer !== null)).toHaveLength(5);
    expect(reads).toBe(5);
  });

  test('does not answer a client without a policy or with too many queries', async () => {
    expect(await open(null, yes).send(query('a.example'))).toBeNull();
    const { send } = open(policyWith(), yes, 2);
    const answers = await Promise.all([1, 2, 3, 4].map(() => send(query('a.example'))));
    expect(answers.filter((answer) => answer !== null)).toHaveLength(2);
  });

  test('handles any bytes with an answer or no answer', async () => {
    const { resolver } = open(policyWith(), yes, 1_000_000);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        const answer = await resolver.answerDatagram(ADDRESS, Buffer.from(bytes));
        expect(answer === null || answer.length <= 1_232).toBe(true);
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(60), fc.nat(255), async (at, value) => {
        const bytes = query('a.example');
        bytes[at % bytes.length] = value;
        await expect(resolver.answerDatagram(ADDRESS, bytes)).resolves.toBeDefined();
      }),
    );
  });
});

test('queries of one container do not use the share of another', () => {
  const share = new FairShare({ perSecond: 3, outstanding: 2, total: 3 });
  expect([share.begin('a', 0), share.begin('a', 0), share.begin('a', 0)]).toEqual([true, true, false]);
  expect(share.begin('b', 0)).toBe(true);
  expect(share.begin('c', 0)).toBe(false);
  share.done('a');
  expect(share.begin('a', 0)).toBe(true);
  share.done('a');
  expect(share.begin('a', 0)).toBe(false);
  expect(share.begin('a', 1_000)).toBe(true);
});

test('name servers and search domains of a resolv.conf are parsed', () => {
  const text =
    'search a.example b.example\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver x\noptions ndots:2\n';
  expect(parseNameServers(text).map(({ host }) => host)).toEqual(['127.0.0.53', 'fe80::1%eth0']);
  expect(containerResolvConf(text, '10.213.0.1')).toBe(
    'nameserver 10.213.0.1\nsearch a.example b.example\noptions ndots:2\n',
  );
});
