import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { DEFAULT_NETWORK_POLICY, type ResolvedNetworkPolicy } from '../../../core/contract/network.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, until } from '../../helpers/linux-host.ts';
import { loseVolatileState } from '../../helpers/reboot-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(300_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
const PUBLISHED = 18_082;

/** One address of each kind on the other end of a link to this machine. */
const OUTSIDE = {
  namespace: `matrix-${process.pid}`,
  device: `mx${process.pid}`,
  own: '11.22.33.5',
  port: 8080,
  public: '11.22.33.6',
  private: '10.99.7.1',
  metadata: '169.254.169.254',
  carrier: '100.64.7.1',
  public6: '2001:db8:7::2',
};
const FAR = [OUTSIDE.public, OUTSIDE.private, OUTSIDE.metadata, OUTSIDE.carrier] as const;
const SERVE = `require('node:net').createServer((s) => { s.on('error', () => {}); s.end('heard'); }).listen(${OUTSIDE.port}, '::', () => console.log('ready'))`;

const openOutside = async (): Promise<() => Promise<void>> => {
  const { namespace, device, own } = OUTSIDE;
  const ip = (...words: string[]) => execFileSync('ip', words);
  ip('netns', 'add', namespace);
  ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'far0', 'netns', namespace);
  ip('address', 'add', `${own}/30`, 'dev', device);
  ip('link', 'set', device, 'up');
  ip('-n', namespace, 'link', 'set', 'far0', 'up');
  ip('-n', namespace, 'link', 'set', 'lo', 'up');
  for (const address of FAR) ip('-n', namespace, 'address', 'add', `${address}/32`, 'dev', 'far0');
  for (const address of FAR) ip('route', 'replace', `${address}/32`, 'dev', device, 'src', own);
  ip('-n', namespace, 'route', 'add', `${own}/32`, 'dev', 'far0');
  ip('-n', namespace, 'address', 'add', `${OUTSIDE.public6}/64`, 'dev', 'far0', 'nodad');
  ip('address', 'add', '2001:db8:7::1/64', 'dev', device, 'nodad');
  const words = ['netns', 'exec', namespace, process.execPath, '-e', SERVE];
  const server = spawn('ip', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  return async () => {
    server.kill('SIGKILL');
    await once(server, 'exit');
    ip('netns', 'delete', namespace);
  };
};

/** The response of a server to an HTTP request from this machine. */
const hear = async (host: string, port: number): Promise<string> => {
  const socket = connect(port, host);
  let said = '';
  socket.on('data', (data) => {
    said += data.toString();
  });
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.0\r\n\r\n');
  await once(socket, 'close');
  return said;
};

type Targets = Readonly<Record<string, readonly [address: string, port: number]>>;

/** The container first connects to all targets at once, then prints which it reached. */
const askAll = (targets: Targets): string[] => {
  const asked = Object.entries(targets).map(([name, [address, port]]) => `ask ${name} ${address} ${port} &`);
  const ask = `ask() { printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 $2 $3 2>/dev/null | grep -q heard && echo "reached $1"; }`;
  return ['sh', '-c', `echo begun; ${ask}; ${asked.join(' ')} wait; echo over; exec sleep 600`];
};

const policy = (
  egress: Partial<ResolvedNetworkPolicy['egress']> = {},
  peers: ResolvedNetworkPolicy['peers'] = 'none',
): ResolvedNetworkPolicy => ({ egress: { ...DEFAULT_NETWORK_POLICY.egress, ...egress }, peers });
const EVERYTHING = [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }];

const POLICIES: readonly (readonly [what: string, network: ResolvedNetworkPolicy, reached: string[]])[] = [
  ['the default', policy(), ['public']],
  ['deny', policy({ default: 'deny' }), []],
  ['allow everything, with peers', policy({ allow: EVERYTHING }, 'switch'), ['peer', 'public']],
];

real('the targets of a container’s first packets', () => {
  const host = new SharedLinuxHost('network-matrix');
  const other = new SharedLinuxHost('network-matrix-other', { templates: false });
  let closeOutside: () => Promise<void>;
  let web: Server;
  let targets: Targets;
  const withPolicy = (one: AssignedContainer, network: ResolvedNetworkPolicy): AssignedContainer => ({
    ...one,
    spec: { ...one.spec, network },
  });
  const SERVER = ['sh', '-c', 'mkdir /www; echo heard > /www/index.html; exec httpd -f -p 80 -h /www'];
  const serve = (ports?: AssignedContainer['spec']['ports']): AssignedContainer => {
    const one = withPolicy(container({ command: SERVER }), policy({}, 'switch'));
    return { ...one, spec: { ...one.spec, ...(ports ? { ports } : {}) } };
  };
  const addressIn = async (at: SharedLinuxHost, one: AssignedContainer) =>
    /inet (\d+\.\d+\.\d+\.\d+)\/32/.exec(await at.sh(one, 'ip -4 address show dev eth0'))?.[1] ?? '';
  const untilServed = (at: SharedLinuxHost, one: AssignedContainer) =>
    at.sh(one, 'until wget -qO- http://127.0.0.1/; do sleep 0.05; done');

  beforeAll(async () => {
    closeOutside = await openOutside();
    web = createServer((_, response) => response.end('heard')).listen(0, '0.0.0.0');
    await once(web, 'listening');
  });
  afterAll(async () => {
    await closeOutside();
    web.close();
  });

  /** The targets that the container's newest run reached, once it has tried all. */
  const reachedBy = async (one: AssignedContainer): Promise<string[]> => {
    const newest = async () => {
      const { items } = await host.runtime.readLog(one.id, {});
      const lines = items.map(({ text }) => text);
      return lines.slice(lines.lastIndexOf('begun'));
    };
    await until(async () => (await newest()).includes('over'));
    return (await newest()).flatMap((line) => /^reached (.*)$/.exec(line)?.[1] ?? []).sort();
  };

  test('are only those that its policy allows, even after a reboot, in both runtime types', async () => {
    const peer = serve();
    const foreign = serve([{ hostPort: PUBLISHED, containerPort: 80 }]);
    await host.up(peer);
    await other.up(foreign);
    await untilServed(host, peer);
    await untilServed(other, foreign);
    const { port } = web.address() as AddressInfo;
    targets = {
      public: [OUTSIDE.public, OUTSIDE.port],
      private: [OUTSIDE.private, OUTSIDE.port],
      metadata: [OUTSIDE.metadata, OUTSIDE.port],
      carrier: [OUTSIDE.carrier, OUTSIDE.port],
      public6: [OUTSIDE.public6, OUTSIDE.port],
      peer: [await addressIn(host, peer), 80],
      otherTenant: [await addressIn(other, foreign), 80],
      publishedByOther: [OUTSIDE.own, PUBLISHED],
      hostPublic: [OUTSIDE.own, port],
      hostGateway: ['10.213.0.1', port],
      loopback: ['127.0.0.1', port],
    };
    // All targets answer this machine, except those inside a switch.
    const { peer: _, otherTenant: __, hostGateway: ___, ...onMachine } = targets;
    for (const [name, [address, at]] of Object.entries(onMachine))
      expect([name, await hear(address, at)]).toEqual([name, expect.stringContaining('heard')]);
    const all = TYPES.flatMap((runtimeType) =>
      POLICIES.map(([what, network, reached]) => ({
        what: `${runtimeType}: ${what}`,
        one: withPolicy(container({ runtimeType, command: askAll(targets) }), network),
        reached,
      })),
    );
    const wanted = all.map(({ what, reached }) => [what, reached]);
    const found = () => Promise.all(all.map(async ({ what, one }) => [what, await reachedBy(one)]));
    for (const { one } of all) await host.up(one);
    expect(await found()).toEqual(wanted);

    await host.runtime.shutDown();
    await loseVolatileState(host.folder);
    await host.reopen();
    await host.up(peer);
    await untilServed(host, peer);
    for (const { one } of all) await host.up(one);
    const again = await found();
    // The peer may have another address after a reboot.
    const same = (await addressIn(host, peer)) === targets.peer?.[0];
    expect(again).toEqual(
      wanted.map(([what, reached = []]) => [
        what,
        same ? reached : [...reached].filter((name) => name !== 'peer'),
      ]),
    );
  });
});
if (!possible) test.todo('cannot run on this machine');
