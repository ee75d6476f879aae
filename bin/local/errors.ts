import { LocalCloudError } from '../../local/errors.ts';

/** `npm start` or `npm run token` can't do what it was asked; the message says why and what to do. */
export class CommandError extends LocalCloudError {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** For the person at the terminal: sentences, and the whole error only where it was asked for (BULKHEAD_DEBUG=1). */
export const describeError = (error: unknown): string => {
  if (process.env.BULKHEAD_DEBUG === '1' && error instanceof Error) return error.stack ?? error.message;
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof LocalCloudError;
  return isOurs
    ? message
    : `${message}\nThis was not foreseen. BULKHEAD_DEBUG=1 npm start shows where it happened.`;
};
