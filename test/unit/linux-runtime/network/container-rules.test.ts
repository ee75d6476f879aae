import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  containerRules,
  linkRules,
  removalRules,
} from '../../../../agent/runtimes/linux/network/container-rules.ts';
import type { Endpoint } from '../../../../agent/runtimes/linux/network/endpoint.ts';
import {
  DEFAULT_NETWORK_POLICY,
  type NetworkRule,
  type ResolvedNetworkPolicy,
} from '../../../../core/contract/network.ts';

const SETTINGS = { address: '10.213.254.1', allowPrivate: ['10.20.0.0/16'], flowLimit: 100 };
const endpointWith = (policy: ResolvedNetworkPolicy): Endpoint => ({
  device: 'bhvabc123456789',
  namespace: null,
  address: '10.213.1.2',
  mac: '02:bb:0a:d5:01:02',
  ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  policy,
  complete: true,
});
const policyWith = (egress: Partial<ResolvedNetworkPolicy['egress']>, peers: 'none' | 'switch' = 'none') => ({
  egress: { ...DEFAULT_NETWORK_POLICY.egress, ...egress },
  peers,
});
const rulesOf = (
  policy: ResolvedNetworkPolicy,
  chain = 'from',
  before: ResolvedNetworkPolicy | null = null,
) =>
  containerRules(endpointWith(policy), SETTINGS, 7, before)
    .split('\n')
    .filter((line) => line.startsWith(`add rule inet bulkhead ${chain}_`))
    .map((line) => line.replace(/^add rule inet bulkhead \w+ /, '').replace(/counter name "\w+" /, ''));

const ruleArbitrary: fc.Arbitrary<NetworkRule> = fc
  .record({
    target: fc.constantFrom(
      { cidr: '11.0.0.0/8' },
      { cidr: '10.20.1.0/24' },
      { cidr: '2a00::/16' },
      { domain: 'a.example' },
      { domain: '*.b.example' },
    ),
    ports: fc.constantFrom(undefined, [80], [53, '8000-8100']),
    protocol: fc.constantFrom(undefined, 'tcp' as const, 'udp' as const),
  })
  .map(({ target, ports, protocol }) => ({
    ...target,
    ...(ports && { ports: [...ports] }),
    ...(protocol && { protocol }),
  }));
const policyArbitrary: fc.Arbitrary<ResolvedNetworkPolicy> = fc.record({
  egress: fc.record({
    default: fc.constantFrom('allow' as const, 'deny' as const),
    allow: fc.array(ruleArbitrary, { maxLength: 4 }),
    deny: fc.array(ruleArbitrary, { maxLength: 4 }),
  }),
  peers: fc.constantFrom('none' as const, 'switch' as const),
});

describe('the rules of a container', () => {
  test('allow public addresses and only the switch’s resolver by default', () => {
    expect(rulesOf(DEFAULT_NETWORK_POLICY)).toEqual([
      'ct direction reply ct status dnat accept',
      'ct state new add @flows { ip saddr ct count over 100 } drop',
      'ip daddr 10.213.0.0/16 ip saddr @peers ip daddr @peers accept',
      'ip daddr 10.213.0.0/16 drop',
      'ip daddr @metadata drop',
      'ip daddr @host_addresses drop',
      'ip daddr @non_public ip daddr != @ceiling drop',
      'ct mark 7 accept',
      'meta l4proto { tcp, udp } th dport { 53, 853 } drop',
      'ip daddr != @non_public ct mark set 7 accept',
      'drop',
    ]);
  });

  test('put deny before allow, with protocols and ports', () => {
    const policy = policyWith({
      default: 'deny',
      allow: [{ cidr: '11.0.0.0/8', ports: [80, '8000-8100'], protocol: 'tcp' }],
      deny: [{ cidr: '11.1.0.0/16' }],
    });
    expect(rulesOf(policy).slice(-4)).toEqual([
      'ip daddr { 11.1.0.0/16 } drop',
      'ip daddr { 11.0.0.0/8 } meta l4proto { tcp } th dport { 80, 8000-8100 } ct mark set 7 accept',
      'meta l4proto { tcp, udp } th dport { 53, 853 } drop',
      'drop',
    ]);
  });

  test('apply the same policy to packets in the other direction', () => {
    const rules = rulesOf(policyWith({ deny: [{ cidr: '11.1.0.0/16', ports: [443] }] }), 'to');
    expect(rules[1]).toBe('ct direction original drop');
    expect(rules).toContain('ip saddr { 11.1.0.0/16 } meta l4proto { tcp, udp } th sport { 443 } drop');
    expect(rules.at(-1)).toBe('drop');
  });

  test('accept only published ports and peers before the rules for metadata, the host and the ceiling', () => {
    fc.assert(
      fc.property(policyArbitrary, (policy) => {
        const rules = rulesOf(policy);
        const firstOwn = rules.findIndex((rule) => rule.startsWith('ct mark'));
        expect(rules.slice(3, firstOwn).every((rule) => rule.endsWith('drop'))).toBe(true);
        for (const set of ['@metadata', '@host_addresses', '@non_public'])
          expect(rules.slice(0, firstOwn).some((rule) => rule.includes(set))).toBe(true);
        expect(rules.at(-1)).toBe('drop');
      }),
    );
  });

  test('add each set of names before a rule uses it, and remove it with its last rule', () => {
    fc.assert(
      fc.property(policyArbitrary, policyArbitrary, (before, after) => {
        const text = containerRules(endpointWith(after), SETTINGS, 7, before);
        const used = new Set([...text.matchAll(/@(names_\w+)/g)].map(([, name]) => name));
        const removed = new Set(
          [...text.matchAll(/delete set inet bulkhead (\w+)/g)].map(([, name]) => name),
        );
        for (const name of used) {
          expect(text.indexOf(`add set inet bulkhead ${name} `)).toBeLessThan(text.indexOf(`@${name}`));
          expect(removed.has(name)).toBe(false);
        }
        const gone = removalRules(endpointWith(after), SETTINGS);
        for (const name of used) expect(gone).toContain(`delete set inet bulkhead ${name}`);
      }),
    );
  });

  test('accept only a link’s own IP and MAC address', () => {
    expect(linkRules(endpointWith(DEFAULT_NETWORK_POLICY))).toContain(
      'source_0ad50102 ether saddr 02:bb:0a:d5:01:02 ip saddr 10.213.1.2 accept\n',
    );
  });

  test('contain no rule for IPv6 ranges', () => {
    const rules = rulesOf(policyWith({ default: 'deny', allow: [{ cidr: '2a00::/16' }] }));
    expect(rules.some((rule) => rule.includes('2a00'))).toBe(false);
    expect(rules.filter((rule) => rule.includes('ct mark set'))).toEqual([]);
  });
});
