import type { Connect } from '../../cli/session.ts';
import { nodeWebSocket } from '../../core/client/node-web-socket.ts';
import { openSession } from '../../core/client/session-connection.ts';

/** Sessions over Node's WebSocket, which reports why a handshake was refused. */
export const connect: Connect = (address) => openSession(address, { webSocketFactory: nodeWebSocket });
