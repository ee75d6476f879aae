import {
  type ApiGatewayManagementApiClient,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import type { ControlMessage } from '../../core/contract/agent/messages.ts';

/**
 * `gone`: the connection is closed, the host will come back by itself. `unreachable`: the push failed for
 * another reason, and may have arrived. Either way nothing is lost: a push only wakes the host, which is told
 * every command that it has not answered as soon as it connects or sends a heartbeat.
 */
export type PushResult = 'sent' | 'gone' | 'unreachable';

export type Push = (connectionId: string, message: ControlMessage) => Promise<PushResult>;

export const createPush =
  (client: ApiGatewayManagementApiClient): Push =>
  async (connectionId, message) => {
    try {
      await client.send(
        new PostToConnectionCommand({
          ConnectionId: connectionId,
          Data: Buffer.from(JSON.stringify(message)),
        }),
      );
      return 'sent';
    } catch (error) {
      return error instanceof GoneException ? 'gone' : 'unreachable';
    }
  };
