import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { containerRules } from '../../../agent/runtimes/linux/network/container-rules.ts';
import { routerTable } from '../../../agent/runtimes/linux/network/router-rules.ts';
import { DEFAULT_NETWORK_POLICY } from '../../../core/contract/network.ts';
import { arpClaim, type Datagram, routerAdvertisement, udpFrames } from '../../helpers/frames.ts';
import { canHostLinux, until } from '../../helpers/linux-host.ts';
import { OUTSIDE, OWN, PORT, SwitchAgent, SwitchWorld } from '../../helpers/switch-world.ts';

jest.setTimeout(120_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const DATAGRAMS = 9_000;
const PUBLISHED = 18_081;
const SAY_WHAT_COMES = `const s = require('node:dgram').createSocket('udp4');
  s.on('message', (text) => console.log(String(text))); s.bind(${DATAGRAMS}, '0.0.0.0', () => console.log('ready'))`;
const SERVE = `require('node:net').createServer((s) => { s.on('error', () => {}); s.end('heard'); }).listen(80, '0.0.0.0', () => console.log('ready'))`;
const SOURCE = new URL('../../helpers/probe/send-frame.c', import.meta.url).pathname;
const OPEN = { ...DEFAULT_NETWORK_POLICY, peers: 'switch' as const };

/** A FORWARD chain as iptables creates it. */
const forwardOf = (policy: string): string[][] => [
  ['nft', 'add table ip filter'],
  ['nft', `add chain ip filter FORWARD { type filter hook forward priority filter; policy ${policy}; }`],
];

real('a hostile container and a misconfigured host', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-frames-'));
  const sendFrame = join(folder, 'send-frame');
  let world: SwitchWorld;
  let agent: SwitchAgent;
  let outside = '';
  let onMachine = '';
  let atVictim = '';

  beforeAll(async () => {
    execFileSync('gcc', ['-static', '-Os', '-o', sendFrame, SOURCE]);
    world = await SwitchWorld.open('attacks');
    agent = await SwitchAgent.open(world, 'switch-attacks');
    await agent.connect('attacker', OPEN);
    await agent.connect('victim', OPEN, [
      { hostPort: PUBLISHED, containerPort: 80 },
      { hostPort: PUBLISHED, containerPort: DATAGRAMS, protocol: 'udp' },
    ]);
    const { namespace } = agent.endpoint('victim');
    await world.serveOnMachine('nsenter', `--net=/run/netns/${namespace}`, process.execPath, '-e', SERVE);
    const inVictim = ['nsenter', `--net=/run/netns/${namespace}`, process.execPath, '-e', SAY_WHAT_COMES];
    const published = await world.serveOnMachine(...inVictim);
    published.stdout?.on('data', (data) => {
      atVictim += String(data);
    });
    const far = await world.serveOutside(process.execPath, '-e', SAY_WHAT_COMES);
    far.stdout?.on('data', (data) => {
      outside += String(data);
    });
    const near = await world.serveOnMachine(process.execPath, '-e', SAY_WHAT_COMES);
    near.stdout?.on('data', (data) => {
      onMachine += String(data);
    });
  });
  afterAll(async () => {
    await agent.remove();
    await world.close();
    rmSync(folder, { recursive: true });
  });

  const macOn = (run: (...words: string[]) => string, device: string): string =>
    /link\/ether (\S+)/.exec(run('ip', 'link', 'show', 'dev', device))?.[1] ?? '';
  const macs = (id = 'attacker') => {
    const { mac, device } = agent.endpoint(id);
    return { from: mac, to: macOn((...words) => agent.inRouter(...words), device) };
  };
  const send = (frames: readonly string[]) => agent.inside('attacker', sendFrame, 'eth0', ...frames);
  const datagram = (text: string, given: Partial<Datagram> = {}): Datagram => ({
    from: agent.endpoint('attacker').address,
    to: OUTSIDE.public,
    port: DATAGRAMS,
    text: `${text}\n`,
    ...given,
  });
  /** Sends a valid datagram after the forged one, because it arrives later. */
  const untilHonestArrives = async (mark: string) => {
    expect(await send(udpFrames(macs(), datagram(mark)))).toBe('');
    await until(() => outside.includes(mark));
  };

  test.each<[string, (mark: string) => string[]]>([
    [
      'the address of a neighbour',
      (mark) => udpFrames(macs(), datagram(mark, { from: agent.endpoint('victim').address })),
    ],
    ['the address of the host', (mark) => udpFrames(macs(), datagram(mark, { from: OWN.public }))],
    ['the address of the router', (mark) => udpFrames(macs(), datagram(mark, { from: OWN.gateway }))],
    ['a public address', (mark) => udpFrames(macs(), datagram(mark, { from: '8.8.8.8' }))],
    ['another MAC address', (mark) => udpFrames({ ...macs(), from: '02:00:00:00:00:99' }, datagram(mark))],
    [
      'the MAC address of a neighbour',
      (mark) => udpFrames({ ...macs(), from: agent.endpoint('victim').mac }, datagram(mark)),
    ],
  ])('nothing leaves with %s', async (what, make) => {
    const before = (await agent.report('attacker')).dropped.packets;
    expect(await send(make(`forged: ${what}`))).toBe('');
    await untilHonestArrives(`honest after ${what}`);
    expect(outside).not.toContain(`forged: ${what}`);
    expect((await agent.report('attacker')).dropped.packets).toBeGreaterThan(before);
  });

  test.each<[string, (mark: string) => string[]]>([
    [
      'a VLAN tag',
      (mark) =>
        udpFrames(macs(), datagram(mark, { to: OWN.public }), { tag: Buffer.from('81000001', 'hex') }),
    ],
    [
      'a priority tag',
      (mark) =>
        udpFrames(macs(), datagram(mark, { to: OWN.public }), { tag: Buffer.from('81000000', 'hex') }),
    ],
    [
      'two tags',
      (mark) =>
        udpFrames(macs(), datagram(mark, { to: OWN.public }), {
          tag: Buffer.from('88a8000081000000', 'hex'),
        }),
    ],
    ['fragments', (mark) => udpFrames(macs(), datagram(mark, { to: OWN.public }), { pieceBytes: 8 })],
    [
      'fragments to a private network',
      (mark) => udpFrames(macs(), datagram(mark, { to: OUTSIDE.lan }), { pieceBytes: 16 }),
    ],
    [
      'a source route',
      (mark) => {
        // Loose source and record route, by way of the public server.
        const options = Buffer.from([131, 7, 4, ...OWN.public.split('.').map(Number), 0]);
        return udpFrames(macs(), datagram(mark, { to: OWN.gateway, options }));
      },
    ],
    [
      'a broadcast',
      (mark) => udpFrames({ ...macs(), to: 'ff:ff:ff:ff:ff:ff' }, datagram(mark, { to: OWN.public })),
    ],
    [
      'multicast',
      (mark) => udpFrames({ ...macs(), to: '01:00:5e:00:00:01' }, datagram(mark, { to: '224.0.0.1' })),
    ],
  ])('the host is not reached by %s', async (what, make) => {
    expect(await send(make(`closed: ${what}`))).toBe('');
    await untilHonestArrives(`honest after ${what}`);
    expect(onMachine + outside).not.toContain(`closed: ${what}`);
  });

  test('fragments of allowed datagrams arrive', async () => {
    expect(await send(udpFrames(macs(), datagram('in pieces, whole'), { pieceBytes: 8 }))).toBe('');
    await until(() => outside.includes('in pieces, whole'));
  });

  /** Two fragments: `marked` in the first, `rest` in the second. */
  const inTwo = (link: { from: string; to: string }, given: Datagram, [marked, rest]: [string, string]) => {
    const [head = '', tail = ''] = udpFrames(
      link,
      { ...given, text: `${marked.padEnd(24)}${rest}\n` },
      { pieceBytes: 32 },
    );
    return { head, tail };
  };

  test('a fragment of another container is not reassembled into an outgoing datagram', async () => {
    const sent = datagram('', { from: agent.endpoint('victim').address });
    const own = inTwo(macs('victim'), sent, ['split on its way out', 'genuine']);
    const { tail: forged } = inTwo(macs(), sent, ['split on its way out', 'forged.']);
    expect(await send([forged])).toBe('');
    expect(await agent.inside('victim', sendFrame, 'eth0', own.head, own.tail)).toBe('');
    await until(() => outside.includes('split on its way out'));
    expect(outside).toMatch(/split on its way out +genuine/);
  });

  test('a fragment of another container is not reassembled into an incoming datagram', async () => {
    const [, router = ''] =
      /inet (\S+)\/32/.exec(agent.inRouter('ip', '-4', 'address', 'show', 'dev', 'host0')) ?? [];
    const from = OUTSIDE.public;
    const link = {
      from: macOn((...words) => world.outside(...words), 'far0'),
      to: macOn((...words) => world.onMachine(...words), 'eth0'),
    };
    const sent = { from, to: OWN.public, port: PUBLISHED, text: '' };
    const { head, tail } = inTwo(link, sent, ['split on its way in', 'genuine']);
    const { tail: forged } = inTwo(macs(), { ...sent, to: router }, ['split on its way in', 'forged.']);
    expect(await send([forged])).toBe('');
    expect(world.outside(sendFrame, 'far0', head, tail)).toBe('');
    await until(() => atVictim.includes('split on its way in'));
    expect(atVictim).toMatch(/split on its way in +genuine/);
  });

  test.each([
    ['a neighbour', () => agent.endpoint('victim').address, DATAGRAMS],
    ['the resolver', () => OWN.gateway, 53],
  ])('connections to %s count as the container’s', async (_, to, port) => {
    const limit = 5;
    const settings = { address: '10.213.255.1', allowPrivate: [], flowLimit: limit };
    const attacker = agent.endpoint('attacker');
    const rules = join(folder, 'few-flows.nft');
    const tracked = () => Number(agent.inRouter('cat', '/proc/sys/net/netfilter/nf_conntrack_count'));
    writeFileSync(rules, routerTable(settings) + containerRules(attacker, settings, 1, attacker.policy));
    // An element of the set keeps the limit from its creation.
    const forgetCounts = () => agent.inRouter('nft', 'flush', 'set', 'inet', 'bulkhead', 'flows');
    agent.inRouter('nft', '-f', rules);
    forgetCounts();
    const before = tracked();
    const frames = Array.from({ length: 60 }, (__, index) =>
      udpFrames(macs(), datagram('flood', { to: to(), port, fromPort: 10_000 + index })),
    );
    expect(await send(frames.flat())).toBe('');
    // The answer arrives after the earlier frames.
    await agent.inside('attacker', 'busybox', 'arping', '-I', 'eth0', '-c', '1', OWN.gateway);
    expect(tracked() - before).toBeLessThanOrEqual(limit);
    await agent.kill();
    await agent.start();
    forgetCounts();
  });

  test('a flood of queries is dropped before the resolver, and another container gets answers', async () => {
    const [question = ''] = udpFrames(macs(), datagram('?', { to: OWN.gateway, port: 53 }));
    const dropped = () => {
      const rules = agent.inRouter('nft', 'list', 'chain', 'inet', 'bulkhead', 'input');
      return Number(/@asked .* counter packets (\d+)/.exec(rules)?.[1]);
    };
    expect(dropped()).toBe(0);
    expect(await send(Array.from({ length: 12_000 }, () => question))).toBe('');
    await until(() => dropped() > 0);
    const before = dropped();
    const other = { from: agent.endpoint('victim').address, to: OWN.gateway, port: 53 };
    expect(
      await agent.inside('victim', sendFrame, 'eth0', ...udpFrames(macs('victim'), datagram('?', other))),
    ).toBe('');
    await agent.inside('victim', 'busybox', 'arping', '-I', 'eth0', '-c', '1', OWN.gateway);
    expect(dropped()).toBe(before);
  });

  test('a container that claims another’s address does not affect the other container', async () => {
    const victim = agent.endpoint('victim');
    const { mac } = agent.endpoint('attacker');
    expect(
      await send([arpClaim(mac, victim.address, OWN.gateway), arpClaim(mac, OWN.gateway, OWN.gateway)]),
    ).toBe('');
    await untilHonestArrives('honest after a claim');
    expect(await agent.reachable('attacker', { victim: [victim.address, 80] })).toEqual(['victim']);
    const { device } = agent.endpoint('attacker');
    const neighbours = agent.inRouter('ip', 'neighbour', 'show', 'dev', device).trim().split('\n');
    expect(
      neighbours.filter((line) => line !== '' && !line.startsWith(agent.endpoint('attacker').address)),
    ).toEqual([]);
  });

  test('the router never has an IPv6 address', async () => {
    expect(await send([routerAdvertisement(agent.endpoint('attacker').mac)])).toBe('');
    await untilHonestArrives('honest after an advertisement');
    expect(agent.inRouter('ip', '-6', 'address')).toBe('');
    expect(world.onMachine('ip', '-6', 'address', 'show', 'dev', agent.hostDevice)).toBe('');
    expect(
      await agent.inside('attacker', 'busybox', 'ping6', '-c', '1', '-W', '1', 'ff02::1%eth0'),
    ).not.toMatch(/bytes from fe80::(?!bb:)/);
  });

  const TARGETS = {
    public: [OUTSIDE.public, PORT],
    lan: [OUTSIDE.lan, PORT],
    host: [OWN.public, PORT],
    gateway: [OWN.gateway, PORT],
  } as const;
  const published = () => world.onMachine('busybox', 'nc', '-w', '2', '127.0.0.1', String(PUBLISHED));

  test('a flush of the host’s rules opens no address, and the rules are restored', async () => {
    world.onMachine('nft', 'flush', 'ruleset');
    const during = await agent.reachable('attacker', {
      lan: TARGETS.lan,
      host: TARGETS.host,
      gateway: TARGETS.gateway,
    });
    expect(during).toEqual([]);
    await until(() => published() === 'heard');
    await until(async () => (await agent.reachable('attacker', TARGETS)).includes('public'));
    expect(await agent.reachable('attacker', TARGETS)).toEqual(['public']);
  });

  test('a flush of the host’s rules opens no address while no agent runs', async () => {
    await agent.kill();
    world.onMachine('nft', 'flush', 'ruleset');
    const closed = { lan: TARGETS.lan, host: TARGETS.host, gateway: TARGETS.gateway };
    expect(await agent.reachable('attacker', closed)).toEqual([]);
    await agent.start();
    expect(published()).toBe('heard');
    expect(await agent.reachable('attacker', TARGETS)).toEqual(['public']);
  });

  test.each<[string, string[][]]>([
    ['the policy drop of iptables', forwardOf('drop')],
    [
      'a final rule of iptables that drops',
      [...forwardOf('accept'), ['nft', 'add rule ip filter FORWARD counter drop']],
    ],
    [
      'a separate table, as in firewalld',
      [
        ['nft', 'add table inet firewalld'],
        ['nft', 'add chain inet firewalld zone'],
        ['nft', 'add chain inet firewalld forward { type filter hook forward priority 10; policy accept; }'],
        ['nft', 'add rule inet firewalld zone reject with icmpx admin-prohibited'],
        ['nft', 'add rule inet firewalld forward goto zone'],
      ],
    ],
  ])('%s disconnects no container', async (_, commands) => {
    for (const words of commands) world.onMachine(...words);
    await until(async () => (await agent.reachable('attacker', TARGETS)).includes('public'));
    await until(() => published() === 'heard');
    expect(await agent.reachable('attacker', TARGETS)).toEqual(['public']);
    world.onMachine('nft', 'flush', 'ruleset');
    await until(() => published() === 'heard');
  });

  test('an operator’s rule in FORWARD still applies', async () => {
    for (const words of forwardOf('drop')) world.onMachine(...words);
    await until(async () => (await agent.reachable('attacker', TARGETS)).includes('public'));
    world.onMachine('nft', `insert rule ip filter FORWARD ip daddr ${OUTSIDE.otherPublic} counter drop`);
    const both = { public: TARGETS.public, refused: [OUTSIDE.otherPublic, PORT] } as const;
    expect(await agent.reachable('attacker', both)).toEqual(['public']);
    world.onMachine('nft', 'flush', 'ruleset');
    await until(() => published() === 'heard');
  });

  test('a policy survives a crash of the agent, and a link is never without rules', async () => {
    await agent.setPolicy('attacker', { egress: { default: 'deny', allow: [], deny: [] }, peers: 'none' });
    await agent.kill();
    expect(await agent.reachable('attacker', TARGETS)).toEqual([]);
    await agent.start();
    expect((await agent.report('attacker')).policy.egress.default).toBe('deny');
    expect(await agent.reachable('attacker', TARGETS)).toEqual([]);
    await agent.setPolicy('attacker', OPEN);
    // A link without an entry in the maps is closed, so it is closed before its rules exist and after they are removed.
    const { device } = agent.endpoint('attacker');
    for (const map of ['sources', 'from', 'to'])
      agent.inRouter('nft', `delete element inet bulkhead ${map} { "${device}" }`);
    expect(await agent.reachable('attacker', TARGETS)).toEqual([]);
    await agent.disconnect('attacker');
    await agent.connect('attacker', OPEN);
    expect(await agent.reachable('attacker', TARGETS)).toEqual(['public']);
  });
});
if (!possible) test.todo('cannot run on this machine');
