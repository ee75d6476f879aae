import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { hostNameOf } from '../../../agent/runtimes/host-name.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { artifactsFolder } from '../../../scripts/setup/linux-runtime.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, linuxHostFolder } from '../../helpers/linux-host.ts';
import { findTraces } from '../../helpers/linux-leaks.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
const ROOT = new URL('../../..', import.meta.url).pathname;

/** A peer that simulates the Internet: on a separate link, with a public address and a route to this machine only. */
const OUTSIDE = {
  namespace: `outside-${process.pid}`,
  device: `out${process.pid}`,
  own: '11.22.33.1',
  far: '11.22.33.2',
  port: 8080,
};
const SAY_WHO_ASKS = `require('node:net').createServer((s) => s.end(s.remoteAddress)).listen(${OUTSIDE.port}, '${OUTSIDE.far}', () => console.log('ready'))`;

const openOutside = async (): Promise<() => Promise<void>> => {
  const { namespace, device, own, far } = OUTSIDE;
  const ip = (...words: string[]) => execFileSync('ip', words);
  ip('netns', 'add', namespace);
  ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'far0', 'netns', namespace);
  ip('address', 'add', `${own}/30`, 'dev', device);
  ip('link', 'set', device, 'up');
  ip('-n', namespace, 'address', 'add', `${far}/30`, 'dev', 'far0');
  ip('-n', namespace, 'link', 'set', 'far0', 'up');
  const server = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', SAY_WHO_ASKS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout, 'data');
  return async () => {
    server.kill('SIGKILL');
    await once(server, 'exit');
    ip('netns', 'delete', namespace);
  };
};

const freePort = async (): Promise<number> => {
  const server = createTcpServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

/** All output of the peer. */
const hear = async (host: string, port: number): Promise<string> => {
  const socket = connect(port, host);
  let said = '';
  socket.on('data', (data) => {
    said += data.toString();
  });
  await once(socket, 'close');
  return said;
};

/** Sends the datagram until an answer arrives, because datagrams can be lost. */
const echo = async (port: number, text: string): Promise<string> => {
  const socket = createSocket('udp4');
  const answer = once(socket, 'message');
  const again = setInterval(() => socket.send(text, port, '127.0.0.1'), 100);
  const [message] = await answer;
  clearInterval(again);
  socket.close();
  return String(message);
};

const ownAddress = (): string | undefined =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !/^(lo|bh|out)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family }) => family === 'IPv4')?.address;

real('the network of a container', () => {
  const host = new SharedLinuxHost('network');
  let closeOutside: () => Promise<void>;
  let web: Server;
  beforeAll(async () => {
    closeOutside = await openOutside();
    web = createServer((request, response) => response.end(request.socket.remoteAddress)).listen(
      0,
      '0.0.0.0',
    );
    await once(web, 'listening');
  });
  afterAll(async () => {
    await closeOutside();
    web.close();
  });

  const make = (
    runtimeType: RuntimeType,
    {
      ports,
      switchName = 'NAT',
      command = ['sleep', '600'],
    }: { ports?: AssignedContainer['spec']['ports']; switchName?: string; command?: string[] } = {},
  ): AssignedContainer => {
    const one = container({ runtimeType, command, switchName });
    return { ...one, spec: { ...one.spec, ...(ports ? { ports } : {}) } };
  };
  const addressOf = async (one: AssignedContainer) =>
    /inet (\d+\.\d+\.\d+\.\d+)\/32/.exec(await host.sh(one, 'ip -4 address show dev eth0'))?.[1] ?? '';
  const serveHttp = ['sh', '-c', 'mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www'];
  const untilServed = (one: AssignedContainer) =>
    host.sh(one, 'until wget -qO- http://127.0.0.1/ ; do sleep 0.05; done');

  test('on NAT containers of both types have their own address and can connect to the outside', async () => {
    const both = TYPES.map((type) => make(type));
    for (const one of both) await host.up(one);
    const addresses = await Promise.all(both.map(addressOf));
    expect(new Set(addresses).size).toBe(2);
    for (const [index, one] of both.entries()) {
      expect(addresses[index]).toMatch(/^10\.213\./);
      // The outside sees this machine's address.
      expect(await host.sh(one, `nc ${OUTSIDE.far} ${OUTSIDE.port} < /dev/null`)).toContain(OUTSIDE.own);
    }
    expect([...(await findTraces(host.folder)).addresses]).toHaveLength(2);
  });

  test.each(TYPES)('%s: a published TCP port is reachable on every address of this machine', async (type) => {
    const hostPort = await freePort();
    const one = make(type, { ports: [{ hostPort, containerPort: 80, protocol: 'tcp' }], command: serveHttp });
    await host.up(one);
    await untilServed(one);
    const addresses = ['127.0.0.1', ...[ownAddress()].flatMap((address) => address ?? [])];
    for (const address of addresses) {
      const answer = await fetch(`http://${address}:${hostPort}/`, { headers: { connection: 'close' } });
      expect((await answer.text()).trim()).toBe(hostNameOf(one.id));
    }
    await host.off(one);
    await expect(hear('127.0.0.1', hostPort)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test.each(TYPES)(
    '%s: a published UDP port and a port that the host selects are reachable',
    async (type) => {
      const hostPort = await freePort();
      const ports = [{ hostPort, containerPort: 53, protocol: 'udp' as const }, { containerPort: 80 }];
      const one = make(type, { ports, command: serveHttp });
      await host.up(one);
      await host.putProbe(one);
      await host.sh(
        one,
        '/probe serve-udp 53 > /log 2>&1 < /dev/null & until grep -q ready /log; do :; done',
      );
      expect(await echo(hostPort, 'hello')).toBe('hello');
      const chosen = (await findTraces(host.folder)).ports.map(Number).filter((port) => port !== hostPort);
      expect(chosen).toHaveLength(1);
      await untilServed(one);
      expect(
        await (await fetch(`http://127.0.0.1:${chosen[0]}/`, { headers: { connection: 'close' } })).text(),
      ).toContain(hostNameOf(one.id));
    },
  );

  test('publishing a port of another container fails, and the other container keeps it', async () => {
    const hostPort = await freePort();
    const ports = [{ hostPort, containerPort: 80 }];
    const first = make('Default', { ports, command: serveHttp });
    await host.up(first);
    await untilServed(first);
    for (const type of TYPES) {
      const second = make(type, { ports });
      await expect(host.up(second)).rejects.toThrow(
        `Port ${hostPort}/tcp of the host is in use by another container`,
      );
      await host.off(second);
      expect(await inspectContainer(host.runtime, second.id)).toMatchObject({ networkEndpoint: false });
    }
    expect(
      await (await fetch(`http://127.0.0.1:${hostPort}/`, { headers: { connection: 'close' } })).text(),
    ).toContain(hostNameOf(first.id));
  });

  test.each(['tcp', 'udp'] as const)(
    'publishing a %s port that a program on this machine uses fails',
    async (protocol) => {
      const taken = await (async () => {
        if (protocol === 'tcp') return { port: (web.address() as AddressInfo).port, close: () => {} };
        const socket = createSocket('udp4').bind(0);
        await once(socket, 'listening');
        return { port: socket.address().port, close: () => socket.close() };
      })();
      const one = make('Default', { ports: [{ hostPort: taken.port, containerPort: 80, protocol }] });
      await expect(host.up(one)).rejects.toThrow(
        `Port ${taken.port}/${protocol} of the host is in use by a program of the host`,
      );
      expect(await inspectContainer(host.runtime, one.id)).toMatchObject({ networkEndpoint: false });
      expect((await findTraces(host.folder)).ports).toEqual([]);
      taken.close();
    },
  );

  test.each(TYPES)('%s: a container without a switch has no network', async (type) => {
    const one = make(type, { switchName: 'none' });
    await host.up(one);
    expect(await host.sh(one, 'ls /sys/class/net')).toBe('lo');
    expect(await host.sh(one, 'ip route')).toBe('');
    const { port } = web.address() as AddressInfo;
    for (const target of [`10.213.0.1 ${port}`, `${OUTSIDE.far} ${OUTSIDE.port}`])
      await expect(host.sh(one, `nc ${target} < /dev/null`)).rejects.toThrow(/unreachable/);
  });

  test.each(TYPES)(
    '%s: neither this machine’s loopback nor a cloud’s credentials can be reached',
    async (type) => {
      const one = make(type);
      await host.up(one);
      const local = createTcpServer((socket) => socket.end('secret')).listen(0, '127.0.0.1');
      await once(local, 'listening');
      const { port } = local.address() as AddressInfo;
      for (const target of [`10.213.0.1 ${port}`, `169.254.169.254 80`])
        await expect(host.sh(one, `timeout 2 nc -w 1 ${target} < /dev/null`)).rejects.toThrow(/exit code/);
      local.close();
    },
  );

  test.each(TYPES)('%s: a policy applies immediately, and its dropped packets are reported', async (type) => {
    const one = make(type);
    await host.up(one);
    const { port } = web.address() as AddressInfo;
    const own = ownAddress() ?? OUTSIDE.own;
    const isOpen = (address: string, to: number) =>
      host.sh(one, `timeout 3 nc -w 2 ${address} ${to} < /dev/null`).then(
        (said) => said !== '',
        () => false,
      );
    expect(await isOpen(OUTSIDE.far, OUTSIDE.port)).toBe(true);
    expect(await isOpen(own, port)).toBe(false);
    const before = (await host.runtime.isolation(one.id)).network;
    expect(before).toMatchObject({ policy: one.spec.network, ceiling: [] });
    const closed = { egress: { default: 'deny' as const, allow: [], deny: [] }, peers: 'none' as const };
    await host.runtime.setNetworkPolicy(one.id, closed);
    expect(await isOpen(OUTSIDE.far, OUTSIDE.port)).toBe(false);
    const after = (await host.runtime.isolation(one.id)).network;
    expect(after?.policy).toEqual(closed);
    expect(after?.dropped.packets).toBeGreaterThan(before?.dropped.packets ?? 0);
    await host.runtime.setNetworkPolicy(one.id, one.spec.network);
    expect(await isOpen(OUTSIDE.far, OUTSIDE.port)).toBe(true);
  });

  test('the process of a utility VM is in an empty network namespace', async () => {
    const one = make('HyperV');
    await host.up(one);
    const pid = (await host.runtime.isolation(one.id)).workerProcess?.pid;
    const links = execFileSync('nsenter', ['-t', `${pid}`, '-n', 'ip', '-brief', 'link'], {
      encoding: 'utf8',
    });
    expect(links.trim().split('\n')).toEqual([expect.stringMatching(/^lo\s+DOWN/)]);
    const routes = execFileSync('nsenter', ['-t', `${pid}`, '-n', 'ip', 'route'], { encoding: 'utf8' });
    expect(routes).toBe('');
  });

  test('a container cannot use the address of another', async () => {
    const [victim, thief] = [make('Default'), make('HyperV')];
    for (const one of [victim, thief]) await host.up(one);
    const address = await addressOf(victim);
    // Root in a container does not have CAP_NET_ADMIN.
    await expect(host.sh(thief, `ip address add ${address}/32 dev eth0`)).rejects.toThrow(/not permitted/);
    expect(await host.sh(victim, `nc ${OUTSIDE.far} ${OUTSIDE.port} < /dev/null`)).toContain(OUTSIDE.own);
  });

  test('opening a host without permission to create networks fails with a reason', async () => {
    const folder = linuxHostFolder('network-forbidden');
    const agent = spawn(
      'setpriv',
      [
        ...['--bounding-set', '-net_admin', '--inh-caps', '-net_admin', '--', process.execPath],
        ...[`${ROOT}agent/main.ts`, '--api-url', 'http://127.0.0.1:9', '--state-dir', folder],
        ...['--runtime', 'linux', '--artifacts', artifactsFolder(ROOT), '--warm-vms', '0'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
    );
    let said = '';
    agent.stderr.on('data', (data) => {
      said += data.toString();
    });
    const [code] = await once(agent, 'close');
    expect(code).toBe(5);
    expect(said).toMatch(/does not support networks for containers.*CAP_NET_ADMIN/);
  });
});
if (!possible) test.todo('cannot run on this machine');
