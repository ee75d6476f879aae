import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Whether a program on this machine listens on the port, on any address. A published port is redirected before local delivery,
 * so such a program would silently lose its clients.
 */
export const isPortInUse = (protocol: 'tcp' | 'udp', port: number): Promise<boolean> =>
  protocol === 'tcp' ? tcpInUse(port) : udpInUse(port);

const isTaken = (error: NodeJS.ErrnoException): boolean => error.code === 'EADDRINUSE';

const tcpInUse = (port: number): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => (isTaken(error) ? resolve(true) : reject(error)));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(false)));
  });

const udpInUse = (port: number): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', (error) => {
      socket.close();
      if (isTaken(error)) resolve(true);
      else reject(error);
    });
    socket.bind({ port, exclusive: true }, () => socket.close(() => resolve(false)));
  });
