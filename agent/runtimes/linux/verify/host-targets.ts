import { createSocket } from 'node:dgram';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

/** Maximum number of host addresses to test. */
const MAX_ADDRESSES = 6;

/** A file and services that the host creates only for the probe to search for. */
interface HostTargets {
  /** Path of a file with the secret. */
  readonly file: string;
  /** `address:port` of services that send the secret, over TCP and UDP. */
  readonly services: readonly string[];
  /** Number of received datagrams with the secret. */
  readonly arrivals: () => number;
  readonly close: () => Promise<void>;
}

const hostAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

/** Opens a service on one address, with TCP and UDP on the same port; null if that fails. */
const openService = async (address: string, secret: string, onArrival: () => void) => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(secret);
  });
  const datagrams = createSocket('udp4');
  const close = () => {
    server.close();
    datagrams.close();
  };
  datagrams.on('message', (message) => {
    if (message.includes(secret)) onArrival();
  });
  const opened = new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    datagrams.once('error', reject);
    server.listen(0, address, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      datagrams.bind(port, address, () => resolve(port));
    });
  });
  return opened.then(
    (port) => ({ target: `${address}:${port}`, close }),
    () => {
      close();
      return null;
    },
  );
};

/** Opens the targets for one verification. */
export const openHostTargets = async (run: string, id: string, secret: string): Promise<HostTargets> => {
  let arrivals = 0;
  const file = join(run, `verify-${id}`);
  await mkdir(run, { recursive: true });
  await writeFile(file, secret, { mode: 0o644 });
  const addresses = [...new Set(hostAddresses())].slice(0, MAX_ADDRESSES);
  const services = await Promise.all(
    addresses.map((address) =>
      openService(address, secret, () => {
        arrivals += 1;
      }),
    ),
  );
  const open = services.filter((service) => service !== null);
  return {
    file,
    services: open.map(({ target }) => target),
    arrivals: () => arrivals,
    close: async () => {
      for (const service of open) service.close();
      await rm(file, { force: true });
    },
  };
};
