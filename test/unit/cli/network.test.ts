import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatRule, parseRule } from '../../../cli/network-rule.ts';
import { type NetworkRule, resolveNetworkPolicy } from '../../../core/contract/network.ts';
import { fakeApi } from '../client/fake-api.ts';
import { containerOf } from '../client/records.ts';
import { run } from './harness.ts';

describe('a rule on the command line', () => {
  test.each<[string, NetworkRule]>([
    ['example.com', { domain: 'example.com' }],
    ['Example.COM', { domain: 'example.com' }],
    ['*.example.com:443/tcp', { domain: '*.example.com', ports: [443], protocol: 'tcp' }],
    ['example.com/udp', { domain: 'example.com', protocol: 'udp' }],
    ['8.8.8.8', { cidr: '8.8.8.8' }],
    ['8.8.8.0/24', { cidr: '8.8.8.0/24' }],
    ['8.8.8.0/24/tcp', { cidr: '8.8.8.0/24', protocol: 'tcp' }],
    ['8.8.8.0/24:80,8000-8100', { cidr: '8.8.8.0/24', ports: [80, '8000-8100'] }],
    ['2001:4860::/32', { cidr: '2001:4860::/32' }],
    ['2001:4860::8888/tcp', { cidr: '2001:4860::8888', protocol: 'tcp' }],
    ['[2001:4860::/32]:53,853/udp', { cidr: '2001:4860::/32', ports: [53, 853], protocol: 'udp' }],
    ['[2001:4860::8888]', { cidr: '2001:4860::8888' }],
    ['::/0', { cidr: '::/0' }],
  ])('%s', (text, rule) => {
    expect(parseRule(text)).toEqual(rule);
  });

  test.each([
    ['8.8.8.8/24', 'Use 8.8.8.0/24.'],
    ['2001:4860:0::/32', 'Use 2001:4860::/32.'],
    ['example.com:0', 'Use ports from 1 to 65535, as in :443 or :80,8000-8100.'],
    ['example.com:', 'Use ports from 1 to 65535, as in :443 or :80,8000-8100.'],
    ['example.com:80,,81', 'Use ports from 1 to 65535, as in :443 or :80,8000-8100.'],
    ['example.com:90-80', 'Use ports from 1 to 65535, as in :443 or :80,8000-8100.'],
    ['2001:4860::8888:53:x', 'Must be an address or a CIDR range, such as 192.0.2.0/24 or 2001:db8::/32.'],
    ['[2001:4860::]x', 'Must be an address or a CIDR range, such as 192.0.2.0/24 or 2001:db8::/32.'],
    [
      '',
      'Must be a domain name in lower-case ASCII without a final dot, such as example.com or *.example.com.',
    ],
    [
      '-flag',
      'Must be a domain name in lower-case ASCII without a final dot, such as example.com or *.example.com.',
    ],
    [
      '$(id)',
      'Must be a domain name in lower-case ASCII without a final dot, such as example.com or *.example.com.',
    ],
  ])('%j is refused: %s', (text, why) => {
    expect(parseRule(text)).toBe(why);
  });

  test('is unchanged after formatting and parsing', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    const range = fc.tuple(port, port).map((pair) => pair.sort((a, b) => a - b).join('-'));
    const destination = fc.constantFrom(
      ...([{ cidr: '10.0.0.0/8' }, { cidr: '::/0' }, { cidr: '2001:4860::8888' }] as const),
      ...([{ domain: 'tcp' }, { domain: 'a-b.example.com' }, { domain: '*.example.com' }] as const),
    );
    const ports = fc.record(
      {
        ports: fc.array(fc.oneof(port, range), { minLength: 1, maxLength: 3 }),
        protocol: fc.constantFrom('tcp', 'udp'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(destination, ports, (what, rest) => {
        const rule = { ...what, ...rest } as NetworkRule;
        expect(parseRule(formatRule(rule))).toEqual(rule);
      }),
    );
  });

  test('is validated by the contract, whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const parsed = parseRule(text);
        if (typeof parsed !== 'string') expect(parseRule(formatRule(parsed))).toEqual(parsed);
      }),
    );
  });
});

const policy = resolveNetworkPolicy({
  egress: { default: 'deny', allow: [{ domain: 'example.com', ports: [443] }], deny: [{ cidr: '8.8.8.8' }] },
  peers: 'switch',
});

/** An API with one container. `reads`: number of reads before its host has confirmed the policy. */
const api = (network = policy, reads = 0) => {
  let left = reads;
  return fakeApi(({ method }) => {
    const networkPending = method === 'GET' ? left-- > 0 : reads > 0;
    return { status: 200, body: containerOf({ network, networkPending }), headers: { etag: '"3"' } };
  });
};

describe('bulkhead container create', () => {
  test('sends the policy of the options', async () => {
    const { fetch, calls } = fakeApi({ status: 200, body: { wouldDo: 'x', dryRun: true, placement: null } });
    const words = ['container', 'create', 'mini', '--dry-run', '--egress', 'deny'];
    const rules = ['--allow', 'example.com:443/tcp', '--allow', '[2001:4860::/32]:53', '--deny', '8.8.8.8'];
    expect((await run([...words, ...rules, '--peers', 'switch'], { fetch })).exitCode).toBe(0);
    expect(calls[0]?.body).toEqual({
      image: 'mini',
      network: {
        egress: {
          default: 'deny',
          allow: [
            { domain: 'example.com', ports: [443], protocol: 'tcp' },
            { cidr: '2001:4860::/32', ports: [53] },
          ],
          deny: [{ cidr: '8.8.8.8' }],
        },
        peers: 'switch',
      },
    });
  });

  test.each([
    ['--egress', 'maybe'],
    ['--peers', 'all'],
    ['--allow', '10.0.0.1/8'],
    ['--deny', 'a b'],
  ])('refuses %s %s without a call, with exit code 2', async (...words) => {
    const { fetch, calls } = api();
    const { exitCode, stderr } = await run(['container', 'create', 'mini', ...words], { fetch });
    expect([exitCode, calls.length]).toEqual([2, 0]);
    expect(stderr).not.toBe('');
  });
});

describe('bulkhead container set', () => {
  const bodyOf = async (...words: string[]) => {
    const { fetch, calls } = api();
    expect((await run(['container', 'set', 'x', ...words], { fetch })).exitCode).toBe(0);
    const patch = calls.find(({ method }) => method === 'PATCH');
    expect(patch?.headers['if-match']).toBe('"3"');
    return patch?.body as { network: unknown };
  };

  test('adds each rule once to the existing rules, and keeps the rest', async () => {
    const { network } = await bodyOf(
      '--allow',
      'example.com:443',
      '--allow',
      '1.1.1.1',
      '--deny',
      '9.9.9.9/udp',
    );
    expect(network).toEqual({
      egress: {
        default: 'deny',
        allow: [{ domain: 'example.com', ports: [443] }, { cidr: '1.1.1.1' }],
        deny: [{ cidr: '8.8.8.8' }, { cidr: '9.9.9.9', protocol: 'udp' }],
      },
      peers: 'switch',
    });
  });

  test('clears rules, and changes only the default and the peers', async () => {
    expect((await bodyOf('--clear-rules', '--allow', '1.1.1.1')).network).toEqual({
      egress: { default: 'deny', allow: [{ cidr: '1.1.1.1' }], deny: [] },
      peers: 'switch',
    });
    expect((await bodyOf('--egress', 'allow', '--peers', 'none')).network).toEqual({
      egress: { ...policy.egress, default: 'allow' },
      peers: 'none',
    });
  });

  test('waits until the host has confirmed the policy, except with --no-wait', async () => {
    const waited = api(policy, 3);
    const { stdout, stderr } = await run(['container', 'set', 'x', '--egress', 'allow'], {
      fetch: waited.fetch,
    });
    expect(stdout).not.toContain('NetworkPending');
    expect(stderr).toBe('');
    const { fetch } = api(policy, 3);
    const soon = await run(['container', 'set', 'x', '--egress', 'allow', '--no-wait'], { fetch });
    expect(soon.stdout).toContain('NetworkPending');
  });

  test('shows a note if the host does not confirm the policy', async () => {
    const { fetch } = api(policy, 1_000);
    const { exitCode, stderr } = await run(['container', 'set', 'x', '--egress', 'allow'], { fetch });
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('has not confirmed the network policy')]);
  });
});

describe('the output', () => {
  test('for a container shows its policy', async () => {
    const { stdout } = await run(['container', 'get', 'x'], { fetch: api().fetch });
    for (const line of [
      /Egress +: deny/,
      /Allow +: example\.com:443/,
      /Deny +: 8\.8\.8\.8/,
      /Peers +: switch/,
    ])
      expect(stdout).toMatch(line);
  });

  test('for its isolation shows the policy in force, the ceiling and the dropped packets', async () => {
    const report = {
      ...{ runtimeType: 'Default', kernel: { host: '6', container: '6' }, sharedKernel: true },
      ...{ containerProcesses: [], visibleOnHost: [], workerProcess: null },
      network: { policy, ceiling: ['10.20.0.0/16'], dropped: { packets: 12 } },
    };
    const shown = async (body: object) =>
      (await run(['container', 'isolation', 'x'], { fetch: fakeApi({ status: 200, body }).fetch })).stdout;
    const text = await shown(report);
    for (const line of [/Egress +: deny/, /Ceiling of the host +: 10\.20\.0\.0\/16/, /Dropped packets +: 12/])
      expect(text).toMatch(line);
    expect(await shown({ ...report, network: null })).not.toContain('Egress');
  });
});
