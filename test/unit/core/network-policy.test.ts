import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { contains, covers, parseAddress, parseCidr } from '../../../core/contract/ip-address.ts';
import {
  type NetworkPolicy,
  NetworkPolicySchema,
  type NetworkRule,
  ResolvedNetworkPolicySchema,
  resolveNetworkPolicy,
} from '../../../core/contract/network.ts';
import { METADATA_ADDRESSES, NON_PUBLIC_RANGES } from '../../../core/network/address-ranges.ts';
import {
  type Ceiling,
  type Destination,
  decide,
  matchesDomain,
  policySteps,
  readCeilingRange,
} from '../../../core/network/network-policy.ts';
import { scaled } from '../../helpers/scaled.ts';

const CLOSED: Ceiling = { allowPrivate: [], own: [] };
const to = (address: string, rest: Partial<Destination> = {}): Destination => ({
  address,
  protocol: 'tcp',
  port: 443,
  ...rest,
});
const said = (policy: NetworkPolicy, destination: Destination, ceiling: Ceiling = CLOSED) =>
  decide(resolveNetworkPolicy(policy), ceiling, destination);

const isIn = (address: string, ranges: readonly string[]): boolean => {
  const parsed = parseAddress(address);
  if (parsed === null) throw new TypeError(address);
  return ranges.some((text) => {
    const range = parseCidr(text);
    return range !== null && contains(range, parsed);
  });
};
const NON_PUBLIC = NON_PUBLIC_RANGES.map(({ cidr }) => cidr);

describe('a network policy', () => {
  test('allows only public addresses by default', () => {
    for (const address of ['8.8.8.8', '1.1.1.1', '223.255.255.255', '2606:4700::1111', '2a00:1450::1'])
      expect(said({}, to(address))).toEqual({ allowed: true, why: 'default' });
    const closed = [
      ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.0.0.1', '169.254.0.1', '172.16.0.1', '172.31.255.255'],
      ...['192.0.0.1', '192.0.2.1', '192.88.99.1', '192.168.255.255', '198.18.0.1', '198.19.255.255'],
      ...['198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
      ...['::', '::1', 'fe80::1', 'fec0::1', 'fc00::1', 'fd12::1', 'ff02::1', '100::1', '5f00::1', '4000::1'],
      ...['2001:db8::1', '3fff::1', '2001:2::1', '2001:10::1', '2001:20::1'],
    ];
    for (const address of closed)
      expect([address, said({}, to(address))]).toEqual([address, { allowed: false, why: 'ceiling' }]);
  });

  test('cannot be bypassed by an IPv6 notation of an IPv4 address', () => {
    const embedded = [
      ...['::ffff:8.8.8.8', '::ffff:10.0.0.1', '::8.8.8.8', '64:ff9b::8.8.8.8', '64:ff9b:1::a00:1'],
      ...['2002:a00:1::1', '2002:808:808::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '::ffff:0:a00:1'],
    ];
    const policy: NetworkPolicy = { egress: { allow: [{ cidr: '::/0' }, { cidr: '0.0.0.0/0' }] } };
    for (const address of embedded)
      expect([address, said(policy, to(address)).allowed]).toEqual([address, false]);
  });

  test('never allows metadata, with any ceiling', () => {
    const policy: NetworkPolicy = {
      egress: { allow: [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }, { domain: 'metadata' }] },
    };
    const ceiling = { allowPrivate: NON_PUBLIC, own: [] };
    for (const address of METADATA_ADDRESSES)
      expect(said(policy, to(address, { names: ['metadata'] }), ceiling)).toEqual({
        allowed: false,
        why: 'metadata',
      });
  });

  test('never allows the host’s own addresses, including public ones', () => {
    const ceiling = {
      allowPrivate: ['10.0.0.0/8'],
      own: ['10.0.0.5', '198.41.0.4', '2a00::5', '10.9.0.0/16'],
    };
    const policy: NetworkPolicy = { egress: { allow: [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }] } };
    for (const address of ['10.0.0.5', '198.41.0.4', '2a00::5', '10.9.8.7'])
      expect(said(policy, to(address), ceiling)).toEqual({ allowed: false, why: 'host' });
    expect(said(policy, to('10.0.0.6'), ceiling).allowed).toBe(true);
  });

  test('allows a private range only by both the ceiling and a rule by cidr', () => {
    const open = { allowPrivate: ['10.20.0.0/16'], own: [] };
    const rule: NetworkPolicy = { egress: { allow: [{ cidr: '10.0.0.0/8' }] } };
    expect(said(rule, to('10.20.1.1'))).toEqual({ allowed: false, why: 'ceiling' });
    expect(said({}, to('10.20.1.1'), open)).toEqual({ allowed: false, why: 'default' });
    expect(said(rule, to('10.20.1.1'), open)).toEqual({ allowed: true, why: 'allow' });
    expect(said(rule, to('10.21.1.1'), open)).toEqual({ allowed: false, why: 'ceiling' });
    const byName: NetworkPolicy = { egress: { allow: [{ domain: 'db.example.com' }] } };
    expect(said(byName, to('10.20.1.1', { names: ['db.example.com'] }), open).allowed).toBe(false);
  });

  test('gives deny precedence over allow, and allow over the default', () => {
    const policy: NetworkPolicy = {
      egress: { default: 'deny', allow: [{ cidr: '8.8.0.0/16' }], deny: [{ cidr: '8.8.8.0/24' }] },
    };
    expect(said(policy, to('8.8.8.8'))).toEqual({ allowed: false, why: 'deny' });
    expect(said(policy, to('8.8.4.4'))).toEqual({ allowed: true, why: 'allow' });
    expect(said(policy, to('1.1.1.1'))).toEqual({ allowed: false, why: 'default' });
  });

  test('distinguishes ports and protocols', () => {
    const policy: NetworkPolicy = {
      egress: {
        default: 'deny',
        allow: [
          { cidr: '1.1.1.1', ports: [53, '8000-8100'], protocol: 'udp' },
          { cidr: '9.9.9.9', ports: [53] },
          { cidr: '8.8.8.8' },
        ],
      },
    };
    const allowed = (address: string, protocol: string, port: number | null) =>
      said(policy, to(address, { protocol, port })).allowed;
    expect([53, 8000, 8100, 54, 7999, 8101].map((port) => allowed('1.1.1.1', 'udp', port))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(allowed('1.1.1.1', 'tcp', 53)).toBe(false);
    expect(['tcp', 'udp', 'sctp'].map((protocol) => allowed('9.9.9.9', protocol, 53))).toEqual([
      true,
      true,
      false,
    ]);
    expect([allowed('9.9.9.9', 'icmp', null), allowed('8.8.8.8', 'icmp', null)]).toEqual([false, true]);
  });

  test('matches names that resolved to the address', () => {
    const policy: NetworkPolicy = {
      egress: {
        default: 'deny',
        allow: [{ domain: '*.example.com' }],
        deny: [{ domain: 'bad.example.com' }],
      },
    };
    const allowed = (...names: string[]) => said(policy, to('8.8.8.8', { names })).allowed;
    expect([
      allowed(),
      allowed('example.com'),
      allowed('a.example.com'),
      allowed('a.b.Example.com.'),
    ]).toEqual([false, false, true, true]);
    expect([allowed('badexample.com'), allowed('a.example.com', 'bad.example.com')]).toEqual([false, false]);
    expect(matchesDomain('*.example.com', '.example.com')).toBe(false);
  });

  test('denies an invalid address', () => {
    for (const address of [
      '',
      'example.com',
      '8.8.8.8/32',
      '8.8.8',
      '08.8.8.8',
      'fe80::1%eth0',
      '::1]/[',
      '1.1.1.1 ',
    ])
      expect(said({}, to(address)).allowed).toBe(false);
  });
});

const octet = fc.integer({ min: 0, max: 255 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
const ipv6 = fc
  .array(group, { minLength: 8, maxLength: 8 })
  .map((parts) => parts.map((part) => part.toString(16)).join(':'));
/** Random addresses, half of them at the edges of the ranges. */
const edges = [...NON_PUBLIC, ...METADATA_ADDRESSES].map((cidr) => cidr.replace(/\/.*/, ''));
const address = fc.oneof(ipv4, ipv6, fc.constantFrom(...edges));
const cidr = fc
  .tuple(address, fc.integer({ min: 0, max: 128 }))
  .map(
    ([text, prefix]) =>
      parseCidr(`${text}/${text.includes(':') ? prefix : prefix % 33}`)?.text ?? '0.0.0.0/0',
  );
const rule: fc.Arbitrary<NetworkRule> = fc.oneof(
  fc.record({ cidr }),
  fc.record({ cidr, ports: fc.constant<(number | string)[]>([443]) }),
  fc.record({ domain: fc.constantFrom('example.com', '*.example.com') }),
);
const rules = fc.array(rule, { maxLength: 4 });
const policies = fc
  .record({ default: fc.constantFrom('allow' as const, 'deny' as const), allow: rules, deny: rules })
  .map((egress) => resolveNetworkPolicy({ egress }));
const ceilings: fc.Arbitrary<Ceiling> = fc.record({
  allowPrivate: fc.subarray(['10.0.0.0/8', '192.168.1.0/24', 'fd00::/16', '100.64.0.0/10']),
  own: fc.array(address, { maxLength: 3 }),
});
const destinations = fc.record({
  address,
  protocol: fc.constantFrom('tcp', 'udp', 'icmp'),
  port: fc.constantFrom(443, 80),
  names: fc.subarray(['example.com', 'a.example.com', 'other.org']),
});

describe('for every policy, ceiling and destination', () => {
  test('nothing that the host forbids is reachable, and the first matching step decides', () => {
    fc.assert(
      fc.property(policies, ceilings, destinations, (policy, ceiling, destination) => {
        const { allowed, why } = decide(policy, ceiling, destination);
        const at = destination.address;
        if (isIn(at, METADATA_ADDRESSES)) expect([allowed, why]).toEqual([false, 'metadata']);
        else if (isIn(at, ceiling.own)) expect([allowed, why]).toEqual([false, 'host']);
        else if (isIn(at, NON_PUBLIC) && !isIn(at, ceiling.allowPrivate))
          expect([allowed, why]).toEqual([false, 'ceiling']);
        else if (allowed && isIn(at, NON_PUBLIC)) {
          const opening = policy.egress.allow.filter((one) => one.cidr !== undefined && isIn(at, [one.cidr]));
          expect(opening).not.toEqual([]);
        }
      }),
      { numRuns: scaled({ ci: 1_000, whole: 3_000 }) },
    );
  });

  test('another deny rule never opens, and another allow rule never closes a destination', () => {
    fc.assert(
      fc.property(policies, ceilings, destinations, rule, (policy, ceiling, destination, more) => {
        const { allowed } = decide(policy, ceiling, destination);
        const { egress } = policy;
        const denied = { ...policy, egress: { ...egress, deny: [...egress.deny, more] } };
        const opened = { ...policy, egress: { ...egress, allow: [...egress.allow, more] } };
        if (!allowed) expect(decide(denied, ceiling, destination).allowed).toBe(false);
        if (allowed) expect(decide(opened, ceiling, destination).allowed).toBe(true);
      }),
      { numRuns: scaled({ ci: 1_000, whole: 3_000 }) },
    );
  });

  test('resolving a policy is idempotent, and every packet matches a step', () => {
    fc.assert(
      fc.property(policies, ceilings, (policy, ceiling) => {
        expect(ResolvedNetworkPolicySchema.safeParse(policy).success).toBe(true);
        expect(resolveNetworkPolicy(policy)).toEqual(policy);
        expect(policySteps(policy, ceiling).at(-1)).toEqual({
          verdict: 'deny',
          why: 'default',
          within: null,
          except: [],
        });
      }),
    );
  });
});

describe('an address range', () => {
  test('has one canonical text, and any other text is refused with a correction', () => {
    const detail = (text: string): string | undefined => {
      const parsed = NetworkPolicySchema.safeParse({ egress: { allow: [{ cidr: text }] } });
      return parsed.success ? undefined : parsed.error.issues[0]?.message;
    };
    for (const good of ['10.0.0.0/8', '192.0.2.1', '0.0.0.0/0', '::/0', '2001:db8::/32', '::1', '8.8.8.8/32'])
      expect([good, detail(good)]).toEqual([good, undefined]);
    const better = {
      '10.1.2.3/8': '10.0.0.0/8',
      '2001:DB8::/32': '2001:db8::/32',
      '2001:db8:0:0::1': '2001:db8::1',
      '2001:db8::1/32': '2001:db8::/32',
      '::ffff:1.2.3.4': '::ffff:102:304',
    };
    for (const [given, wanted] of Object.entries(better)) expect(detail(given)).toBe(`Use ${wanted}.`);
    for (const bad of [
      '',
      '10.0.0.0/33',
      '::/129',
      '10.0.0',
      '10.0.0.0/08',
      '10.0.0.0/',
      '/8',
      '256.0.0.1',
      '01.2.3.4',
      'fe80::1%1',
      ':::',
      '1::2::3',
      'x',
      '10.0.0.0/8 ',
      '10.0.0.0/-1',
      '::/0/0',
      '[::1]',
      '٣.0.0.1',
    ])
      expect([bad, detail(bad)]).toEqual([
        bad,
        'Must be an address or a CIDR range, such as 192.0.2.0/24 or 2001:db8::/32.',
      ]);
  });

  test('in canonical form is unchanged, and contains exactly its addresses', () => {
    fc.assert(
      fc.property(cidr, address, (text, at) => {
        const range = parseCidr(text);
        const parsed = parseAddress(at);
        if (range === null || parsed === null) throw new TypeError(text);
        expect(range.text).toBe(text);
        const bits = BigInt((range.family === 4 ? 32 : 128) - range.prefix);
        const last = range.network + (1n << bits) - 1n;
        const within =
          range.family === parsed.family && range.network <= parsed.value && parsed.value <= last;
        expect(contains(range, parsed)).toBe(within);
        expect(covers(range, range)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a rule', () => {
  const problems = (rule: unknown): string[] => {
    const parsed = NetworkPolicySchema.safeParse({ egress: { deny: [rule] } });
    return parsed.success ? [] : parsed.error.issues.map((one) => `${one.path.join('/')}: ${one.message}`);
  };

  test('has exactly one of cidr and domain', () => {
    const one = 'egress/deny/0: Must have exactly one of cidr and domain.';
    expect(problems({})).toEqual([one]);
    expect(problems({ cidr: '8.8.8.8', domain: 'example.com' })).toEqual([one]);
    expect(problems({ cidr: '8.8.8.8' })).toEqual([]);
  });

  test('accepts domain names in lower-case ASCII', () => {
    for (const domain of [
      'example.com',
      '*.example.com',
      'a',
      '_dmarc.example.com',
      'xn--bcher-kva.example',
      'a-b.c0',
    ])
      expect([domain, problems({ domain })]).toEqual([domain, []]);
    const bad = [
      '',
      '.',
      '*',
      '*.',
      'Example.com',
      'example.com.',
      'a..b',
      '-a.com',
      'a-.com',
      '*.*.com',
      'a.*.com',
      '1.2.3.4',
      'bücher.de',
      'a b',
      'a\u202e.com',
      `${'a'.repeat(64)}.com`,
      `${'a.'.repeat(127)}com`,
      'a.com\n',
      '$(id).com',
      '::1',
    ];
    for (const domain of bad) expect([domain, problems({ domain }).length]).toEqual([domain, 1]);
  });

  test('accepts ports and port ranges', () => {
    for (const ports of [[1], [65_535], ['1-65535'], [80, '8000-8100'], ['80-80']])
      expect(problems({ cidr: '8.8.8.8', ports })).toEqual([]);
    for (const port of [
      0,
      65_536,
      1.5,
      -1,
      '80',
      '8100-8000',
      '0-1',
      '1-65536',
      '1-',
      '-1',
      '1-2-3',
      '01-2',
      ' 1-2',
      null,
    ])
      expect([port, problems({ cidr: '8.8.8.8', ports: [port] }).length]).toEqual([port, 1]);
    expect(problems({ cidr: '8.8.8.8', ports: [] })).toHaveLength(1);
    expect(problems({ cidr: '8.8.8.8', protocol: 'icmp' })).toHaveLength(1);
  });

  test('is refused beyond 64 rules', () => {
    const policy = (count: number) => ({
      egress: { allow: Array.from({ length: count }, () => ({ cidr: '8.8.8.8' })) },
    });
    expect(NetworkPolicySchema.safeParse(policy(64)).success).toBe(true);
    expect(NetworkPolicySchema.safeParse(policy(65)).success).toBe(false);
  });
});

describe('a range that the host’s operator opens', () => {
  test('must be private, and is returned in canonical form', () => {
    const text = (given: string) => ({ kind: 'range', text: given });
    expect(readCeilingRange('10.20.30.40/16')).toEqual(text('10.20.0.0/16'));
    expect(readCeilingRange('FD12:3456::/32')).toEqual(text('fd12:3456::/32'));
    expect(readCeilingRange('100.64.0.0/10')).toEqual(text('100.64.0.0/10'));
    for (const bad of [
      '0.0.0.0/0',
      '::/0',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '8.8.8.0/24',
      '10.0.0.0/7',
      'fe80::/10',
      '::ffff:10.0.0.0/104',
      '64:ff9b::/96',
      'example.com',
    ])
      expect([bad, readCeilingRange(bad).kind]).toEqual([bad, 'refused']);
  });
});
