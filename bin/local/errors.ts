import { LocalCloudError } from '../../local/errors.ts';

/** `npm start` or `npm run token` failed. The message contains the reason and what to do. */
export class CommandError extends LocalCloudError {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The message for the terminal; with BULKHEAD_DEBUG=1 the stack trace. */
export const describeError = (error: unknown): string => {
  if (process.env.BULKHEAD_DEBUG === '1' && error instanceof Error) return error.stack ?? error.message;
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof LocalCloudError;
  return isOurs
    ? message
    : `${message}\nThis error is unexpected. Run BULKHEAD_DEBUG=1 npm start to see its stack trace.`;
};
