import { createSocket } from 'node:dgram';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

/** Addresses of the host that are tried. */
const MAX_ADDRESSES = 6;

/** Something of the host for the probe to look for, which nothing else depends on. */
interface HostTargets {
  /** Path of a file that says the secret. */
  readonly file: string;
  /** `address:port` of services that say the secret, TCP and UDP. */
  readonly services: readonly string[];
  /** Datagrams with the secret that have arrived. */
  readonly arrivals: () => number;
  readonly close: () => Promise<void>;
}

const hostAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

/** A service on one address, TCP and UDP on the same port; null where it cannot be opened. */
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

/** Puts the targets up for the time of one verification. */
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
