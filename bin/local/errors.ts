import { LocalCloudError } from '../../local/errors.ts';

/** `npm start` or `npm run token` failed. The message has the reason and a solution. */
export class CommandError extends LocalCloudError {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The error for the terminal: sentences, and the full error only with BULKHEAD_DEBUG=1. */
export const describeError = (error: unknown): string => {
  if (process.env.BULKHEAD_DEBUG === '1' && error instanceof Error) return error.stack ?? error.message;
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof LocalCloudError;
  return isOurs
    ? message
    : `${message}\nThis was not foreseen. BULKHEAD_DEBUG=1 npm start shows where it happened.`;
};
