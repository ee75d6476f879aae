import type { IncomingMessage } from 'node:http';
import { LocalCloudError } from '../errors.ts';

/** The request's body is larger than the API takes. */
export class BodyTooLargeError extends LocalCloudError {
  readonly code = 'body-too-large';
}

/**
 * Reads to the end even what is too large (and drops it): a client that is still sending could not read the answer.
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
