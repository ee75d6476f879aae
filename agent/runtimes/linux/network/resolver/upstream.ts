import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { decode, encode, type Packet, type Question, RECURSION_DESIRED } from 'dns-packet';
import type { Clock } from '../../../../clock.ts';
import { nameOf } from './judge.ts';

export interface NameServer {
  readonly host: string;
  readonly port: number;
}

const TIMEOUT_MS = 2_500;
const UDP_PAYLOAD = 1_232;
const LENGTH_BYTES = 2;
const MAX_BYTES = 65_535;

const isAnswerTo = (response: Packet, id: number, question: Question): boolean =>
  response.type === 'response' &&
  response.id === id &&
  response.questions?.length === 1 &&
  nameOf(response.questions[0]?.name ?? '') === nameOf(question.name) &&
  response.questions[0]?.type === question.type;

const decodeAnswer = (bytes: Buffer, id: number, question: Question): Packet | null => {
  try {
    const response = decode(bytes);
    return isAnswerTo(response, id, question) ? response : null;
  } catch {
    return null;
  }
};

const isTruncated = (response: Packet): boolean =>
  (response as Packet & { flag_tc?: boolean }).flag_tc === true;

/** Queries over UDP from a new port, so that an attacker who cannot see the query cannot forge an answer. */
const askUdp = (
  clock: Pick<Clock, 'after'>,
  server: NameServer,
  id: number,
  question: Question,
): Promise<Packet> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
    const end = (use: () => void) => {
      cancel();
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      use();
    };
    const cancel = clock.after(TIMEOUT_MS, () =>
      end(() => reject(new TypeError('The name server did not answer'))),
    );
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (bytes) => {
      const response = decodeAnswer(bytes, id, question);
      if (response) end(() => resolve(response));
    });
    // On a connected socket, the kernel accepts datagrams from this server only.
    socket.connect(server.port, server.host, () => socket.send(query(id, question)));
  });

const query = (id: number, question: Question): Buffer =>
  encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [question],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_PAYLOAD,
        flags: 0,
        options: [],
        extendedRcode: 0,
        ednsVersion: 0,
        flag_do: false,
      },
    ],
  });

const askTcp = (server: NameServer, id: number, question: Question): Promise<Packet> =>
  new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host);
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new TypeError('The name server did not answer')));
    let received = Buffer.alloc(0);
    socket.once('connect', () => {
      const bytes = query(id, question);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt16BE(bytes.length);
      socket.write(Buffer.concat([length, bytes]));
    });
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]).subarray(0, MAX_BYTES + LENGTH_BYTES);
      if (received.length < LENGTH_BYTES || received.length < LENGTH_BYTES + received.readUInt16BE()) return;
      const response = decodeAnswer(
        received.subarray(LENGTH_BYTES, LENGTH_BYTES + received.readUInt16BE()),
        id,
        question,
      );
      socket.destroy(response ? undefined : new TypeError('The name server sent an invalid answer'));
      if (response) resolve(response);
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new TypeError('The name server closed the connection')));
  });

/** Queries the servers in order until one answers. */
export const ask = async (
  servers: readonly NameServer[],
  question: Question,
  { clock, newId }: { readonly clock: Pick<Clock, 'after'>; readonly newId: () => number },
): Promise<Packet> => {
  let failure: unknown = new TypeError('No name server is configured');
  for (const server of servers)
    try {
      const response = await askUdp(clock, server, newId(), question);
      return isTruncated(response) ? await askTcp(server, newId(), question) : response;
    } catch (error) {
      failure = error;
    }
  throw failure;
};
