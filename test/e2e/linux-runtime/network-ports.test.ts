import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, jest, test } from '@jest/globals';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer } from '../../helpers/linux-host.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const TYPES: readonly RuntimeType[] = ['Default', 'HyperV'];
type Ports = NonNullable<AssignedContainer['spec']['ports']>;

const freePort = async (): Promise<number> => {
  const socket = createSocket('udp4').bind(0, '0.0.0.0');
  await once(socket, 'listening');
  const { port } = socket.address() as AddressInfo;
  socket.close();
  return port;
};

const ownAddress = (): string | undefined =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !/^(lo|bh|out)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family }) => family === 'IPv4')?.address;

/** Whether the port accepts a connection. */
const isOpen = async (address: string, port: number): Promise<boolean> => {
  const socket = connect(port, address);
  const opened = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return opened;
};

real('published ports', () => {
  const host = new SharedLinuxHost('network-ports');
  const make = (runtimeType: RuntimeType, ports: Ports, command: string[]) => {
    const one = container({ runtimeType, command });
    return { ...one, spec: { ...one.spec, ports } };
  };
  const serveUdp = async (one: AssignedContainer) => {
    await host.up(one);
    await host.putProbe(one);
    await host.sh(one, '/probe serve-udp 53 > /log 2>&1 < /dev/null & until grep -q ready /log; do :; done');
  };
  const serveHttp = (port: number) => ['sh', '-c', `exec httpd -f -p ${port} -h /etc`];
  const untilServed = (one: AssignedContainer, port: number) =>
    host.sh(one, `until wget -qO- http://127.0.0.1:${port}/hostname; do sleep 0.05; done`);

  // Sources: https://github.com/moby/moby/issues/8795, https://github.com/containernetworking/plugins/issues/123 and
  // https://github.com/moby/moby/issues/53384 (the ports of host and container differ).
  test('a UDP client that never stops sending reaches each container that gets the port', async () => {
    const hostPort = await freePort();
    const client: Socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(client, 'listening');
    client.on('error', () => undefined);
    // Before the publication, the kernel remembers the connection without NAT.
    const sending = setInterval(() => client.send('x', hostPort, '127.0.0.1'), 10);
    try {
      for (const type of [...TYPES, ...TYPES]) {
        const one = make(type, [{ hostPort, containerPort: 53, protocol: 'udp' }], ['sleep', '600']);
        await serveUdp(one);
        await once(client, 'message');
        await host.off(one);
      }
    } finally {
      clearInterval(sending);
      client.close();
    }
  });

  describe.each(TYPES)('%s', (type) => {
    test('the host tells the address of a container, and the ports that it has chosen', async () => {
      const hostPort = await freePort();
      const ports: Ports = [
        { containerPort: 80 },
        { containerPort: 80 },
        { hostPort, containerPort: 81, protocol: 'udp' },
      ];
      const one = make(type, ports, serveHttp(80));
      await host.up(one);
      await untilServed(one, 80);
      const seen = await inspectContainer(host.runtime, one.id);
      const hostPorts = (seen?.ports ?? []).map(({ hostPort: chosen }) => chosen);
      expect(hostPorts).toEqual([expect.any(Number), expect.any(Number), hostPort]);
      expect(new Set(hostPorts).size).toBe(3);
      expect(await host.sh(one, 'ip -4 address show dev eth0')).toContain(`inet ${seen?.address}/32`);
      expect(await isOpen('127.0.0.1', hostPorts[0] ?? 0)).toBe(true);
      await host.off(one);
      expect((await inspectContainer(host.runtime, one.id))?.address).toBeUndefined();
    });

    test('a port on 127.0.0.1 is open for the host only', async () => {
      const hostPort = await freePort();
      const one = make(type, [{ hostPort, containerPort: 80, hostAddress: '127.0.0.1' }], serveHttp(80));
      await host.up(one);
      await untilServed(one, 80);
      expect(await isOpen('127.0.0.1', hostPort)).toBe(true);
      const own = ownAddress();
      if (own !== undefined) expect(await isOpen(own, hostPort)).toBe(false);
      await host.off(one);
      expect(await isOpen('127.0.0.1', hostPort)).toBe(false);
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
