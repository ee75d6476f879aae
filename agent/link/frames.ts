import { FRAME_BYTES } from '../../core/contract/agent/messages.ts';

/** What of a WebSocket is needed to send; a message may be sent in several frames. */
interface FrameSender {
  send(data: Buffer, options: { binary: false; fin: boolean }): void;
}

/**
 * Sends one text message in frames of at most 32 KB: a larger one makes API Gateway close the connection.
 * The frames of a message follow each other, as nothing else is sent before this returns.
 */
export const sendInFrames = (socket: FrameSender, message: Buffer): void => {
  for (let from = 0; from === 0 || from < message.length; from += FRAME_BYTES) {
    const to = from + FRAME_BYTES;
    socket.send(message.subarray(from, to), { binary: false, fin: to >= message.length });
  }
};
