import type { IncomingMessage } from 'node:http';
import { LocalCloudError } from '../errors.ts';

/** The request body exceeds the limit of the API. */
export class BodyTooLargeError extends LocalCloudError {
  readonly code = 'body-too-large';
}

/**
 * Drops a body that is too large, but reads all of it first, because a client that is still sending cannot read the response.
 * @throws BodyTooLargeError
 */
export const readBody = async (incoming: IncomingMessage, limitBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= limitBytes) chunks.push(chunk);
  }
  if (size > limitBytes) throw new BodyTooLargeError();
  return Buffer.concat(chunks);
};
