import type { ControlMessage } from '../../../core/contract/agent/messages.ts';
import type { ToClientSessionMessage } from '../../../core/contract/session.ts';
import type { CommandRecord } from '../../../store/records.ts';
import type { Connections } from './connections.ts';

/** The status of a connection that is closed. */
const GONE = 410;

/**
 * `gone`: the connection is closed, the host will come back by itself. `unreachable`: the push failed for
 * another reason, and may have arrived. Either way nothing is lost: a push only wakes the host, which is told
 * every command that it has not answered as soon as it connects or sends a heartbeat.
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

/** Wakes a host with a command, as it was signed when it was given. */
export const pushCommand = (
  push: Push,
  connectionId: string,
  { signed: { payload, signature, keyId } }: CommandRecord,
): Promise<PushResult> => push(connectionId, { action: 'command', payload, signature, keyId });
