import type { ControlMessage } from '../../../core/contract/agent/messages.ts';
import type { ToClientSessionMessage } from '../../../core/contract/session.ts';
import type { CommandRecord } from '../../../store/commands.ts';
import type { Connections } from './connections.ts';

/** The status of a connection that is closed. */
const GONE = 410;

/**
 * `gone`: the connection is closed; the host will reconnect. `unreachable`: the push failed for another reason and may
 * have arrived. Neither loses anything: the host gets all commands that it has not answered when it connects or sends a
 * heartbeat.
 */
export type PushResult = 'sent' | 'gone' | 'unreachable';

export type Push = (
  connectionId: string,
  message: ControlMessage | ToClientSessionMessage,
) => Promise<PushResult>;

export const createPush =
  (connections: Connections): Push =>
  async (connectionId, message) => {
    try {
      const status = await connections.post(connectionId, JSON.stringify(message));
      if (status === GONE) return 'gone';
      return status < 300 ? 'sent' : 'unreachable';
    } catch {
      return 'unreachable';
    }
  };

/** Pushes a signed command to a host. */
export const pushCommand = (
  push: Push,
  connectionId: string,
  { signed: { payload, signature, keyId } }: CommandRecord,
): Promise<PushResult> => push(connectionId, { action: 'command', payload, signature, keyId });
