import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { DEFAULT_NETWORK_POLICY, type ResolvedNetworkPolicy } from '../../../core/contract/network.ts';
import { canHostLinux, until } from '../../helpers/linux-host.ts';
import { OUTSIDE, OWN, PORT, SwitchAgent, SwitchWorld } from '../../helpers/switch-world.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const PUBLISHED = 18_080;
const SAY_WHO_ASKS = `require('node:net').createServer((s) => { s.on('error', () => {}); s.end('heard ' + s.remoteAddress); })
  .listen(80, '0.0.0.0', () => console.log('ready'))`;

const policy = (
  egress: Partial<ResolvedNetworkPolicy['egress']> = {},
  peers: ResolvedNetworkPolicy['peers'] = 'none',
): ResolvedNetworkPolicy => ({ egress: { ...DEFAULT_NETWORK_POLICY.egress, ...egress }, peers });
const EVERYTHING = [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }];

real('a network policy', () => {
  let world: SwitchWorld;
  let agent: SwitchAgent;
  let other: SwitchAgent;
  let targets: Record<string, readonly [string, number]>;

  const serveIn = (owner: SwitchAgent, id: string) =>
    world.serveOnMachine(
      'nsenter',
      `--net=/run/netns/${owner.endpoint(id).namespace}`,
      process.execPath,
      '-e',
      SAY_WHO_ASKS,
    );

  beforeAll(async () => {
    world = await SwitchWorld.open('policy');
    agent = await SwitchAgent.open(world, 'switch-policy');
    other = await SwitchAgent.open(world, 'switch-policy-other');
    await agent.connect('prober');
    const peer = await agent.connect('peer', policy({}, 'switch'));
    const alone = await agent.connect('alone', policy({}, 'none'));
    const foreign = await other.connect('foreign', policy({}, 'switch'), [
      { hostPort: PUBLISHED, containerPort: 80 },
    ]);
    for (const id of ['peer', 'alone']) await serveIn(agent, id);
    await serveIn(other, 'foreign');
    world.onMachine('ip', 'address', 'add', '93.184.216.34/32', 'dev', 'lo');
    targets = {
      public: [OUTSIDE.public, PORT],
      lan: [OUTSIDE.lan, PORT],
      closed: [OUTSIDE.closed, PORT],
      metadata: [OUTSIDE.metadata, PORT],
      peer: [peer.address, 80],
      alone: [alone.address, 80],
      otherTenant: [foreign.address, 80],
      publishedByOther: [OWN.public, PUBLISHED],
      hostPublic: [OWN.public, PORT],
      hostLan: [OWN.lan, PORT],
      hostLoopbackAlias: ['93.184.216.34', PORT],
      hostGateway: [OWN.gateway, PORT],
      hostEnd: ['10.213.0.2', PORT],
      loopback: ['127.0.0.1', PORT],
    };
    await until(() =>
      agent.inRouter('nft', 'list', 'set', 'inet', 'bulkhead', 'host_addresses').includes('93.184'),
    );
  });
  afterAll(async () => {
    await agent.remove();
    await other.remove();
    expect(world.onMachine('nft', 'list', 'ruleset')).toBe('');
    await world.close();
  });

  test.each<[string, ResolvedNetworkPolicy, string[]]>([
    ['the default', policy(), ['public']],
    ['peers', policy({}, 'switch'), ['public', 'peer']],
    ['deny', policy({ default: 'deny' }), []],
    ['deny, with peers', policy({ default: 'deny' }, 'switch'), ['peer']],
    ['deny, and allow one', policy({ default: 'deny', allow: [{ cidr: '11.22.33.2/32' }] }), ['public']],
    [
      'deny, and allow another port',
      policy({ default: 'deny', allow: [{ cidr: '11.22.33.2/32', ports: [443] }] }),
      [],
    ],
    [
      'deny, and allow a range of ports by TCP',
      policy({ default: 'deny', allow: [{ cidr: '11.22.33.0/24', ports: ['8000-8100'], protocol: 'tcp' }] }),
      ['public'],
    ],
    [
      'deny, and allow by UDP',
      policy({ default: 'deny', allow: [{ cidr: '11.22.33.2/32', protocol: 'udp' }] }),
      [],
    ],
    ['allow, and deny one', policy({ deny: [{ cidr: '11.22.33.0/24' }] }), []],
    ['deny before allow', policy({ allow: EVERYTHING, deny: [{ cidr: '11.22.33.2/32' }] }), ['lan']],
    [
      'allow everything: the ceiling, metadata services and the host stay closed',
      policy({ allow: EVERYTHING }),
      ['public', 'lan'],
    ],
    [
      'allow everything by name of range',
      policy(
        {
          default: 'deny',
          allow: ['10.0.0.0/8', '172.16.0.0/12', '169.254.0.0/16', '127.0.0.0/8', '11.22.33.1/32'].map(
            (cidr) => ({ cidr }),
          ),
        },
        'switch',
      ),
      ['lan', 'peer'],
    ],
  ])('%s', async (_, wanted, expected) => {
    await agent.setPolicy('prober', wanted);
    expect(await agent.reachable('prober', targets)).toEqual(expected);
  });

  test('peers need the consent of both sides', async () => {
    await agent.setPolicy('prober', policy({}, 'switch'));
    const { address } = agent.endpoint('prober');
    expect(await agent.reachable('alone', { prober: [address, 80], public: [OUTSIDE.public, PORT] })).toEqual(
      ['public'],
    );
  });

  test('dropped packets are counted for the container that sent them', async () => {
    await agent.setPolicy('prober', policy());
    const before = (await agent.report('prober')).dropped.packets;
    const quiet = (await agent.report('alone')).dropped.packets;
    await agent.inside('prober', 'busybox', 'ping', '-c', '2', '-W', '1', OUTSIDE.lan);
    expect(await agent.report('prober')).toEqual({
      policy: policy(),
      ceiling: ['10.99.0.0/16'],
      dropped: { packets: before + 2 },
    });
    expect((await agent.report('alone')).dropped.packets).toBe(quiet);
  });

  test('a new address of the host is closed', async () => {
    await agent.setPolicy('prober', policy({ allow: EVERYTHING }));
    const fresh = '93.184.220.7';
    world.onMachine('ip', 'address', 'add', `${fresh}/32`, 'dev', 'lo');
    await until(() =>
      agent.inRouter('nft', 'list', 'set', 'inet', 'bulkhead', 'host_addresses').includes(fresh),
    );
    expect(await agent.reachable('prober', { fresh: [fresh, PORT], public: [OUTSIDE.public, PORT] })).toEqual(
      ['public'],
    );
    world.onMachine('ip', 'address', 'delete', `${fresh}/32`, 'dev', 'lo');
    await until(
      () => !agent.inRouter('nft', 'list', 'set', 'inet', 'bulkhead', 'host_addresses').includes(fresh),
    );
  });

  test('a published port is reachable from the host and from outside with any policy', async () => {
    await other.setPolicy('foreign', policy({ default: 'deny' }));
    const ask = (address: string) => world.onMachine('busybox', 'nc', '-w', '2', address, String(PUBLISHED));
    for (const address of ['127.0.0.1', OWN.public, OWN.lan]) expect(ask(address)).toMatch(/^heard/);
    const outside = await world.serveOutside('busybox', 'nc', '-w', '2', OWN.public, String(PUBLISHED));
    outside.kill('SIGKILL');
  });

  describe('an open connection', () => {
    const SEND_ON = `let at = 0; require('node:net').createServer((s) => { s.on('error', () => {}); setInterval(() => s.write(++at + '\\n'), 20); })
      .listen(9000, '0.0.0.0', () => console.log('ready'))`;
    beforeAll(async () => {
      await world.serveOutside(process.execPath, '-e', SEND_ON);
    });
    const HEAR = `require('node:net').connect(9000, '${OUTSIDE.public}').pipe(process.stdout)`;

    test.each([
      ['denied by address', policy({ deny: [{ cidr: '11.22.33.2/32' }] }), false],
      ['denied by default', policy({ default: 'deny' }), false],
      [
        'still allowed by another rule',
        policy({ default: 'deny', allow: [{ cidr: '11.22.33.2/32', ports: [9000] }] }),
        true,
      ],
    ])('%s', async (_, next, goesOn) => {
      await agent.setPolicy('prober', policy());
      const { namespace } = agent.endpoint('prober');
      const reader = await world.serveOnMachine(
        ...['nsenter', `--net=/run/netns/${namespace}`, process.execPath, '-e', HEAR],
      );
      let heard = 0;
      reader.stdout?.on('data', () => {
        heard++;
      });
      await until(() => heard > 3);
      await agent.setPolicy('prober', next);
      const dropped = (await agent.report('prober')).dropped.packets;
      const then = heard;
      // Either the sender's packets arrive, or they are dropped.
      if (goesOn) await until(() => heard > then + 5);
      else {
        await until(async () => (await agent.report('prober')).dropped.packets > dropped + 2);
        const last = heard;
        await until(async () => (await agent.report('prober')).dropped.packets > dropped + 4);
        expect(heard).toBe(last);
      }
      reader.kill('SIGKILL');
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
