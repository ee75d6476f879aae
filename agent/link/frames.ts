import { FRAME_BYTES } from '../../core/contract/agent/messages.ts';

/** The part of a WebSocket that sends; a message can consist of several frames. */
interface FrameSender {
  send(data: Buffer, options: { binary: false; fin: boolean }): void;
}

/**
 * Sends one text message in frames of at most 32 KB: a larger one makes API Gateway close the connection.
 * The frames of a message are contiguous, because nothing else is sent before this returns.
 */
export const sendInFrames = (socket: FrameSender, message: Buffer): void => {
  for (let from = 0; from === 0 || from < message.length; from += FRAME_BYTES) {
    const to = from + FRAME_BYTES;
    socket.send(message.subarray(from, to), { binary: false, fin: to >= message.length });
  }
};
