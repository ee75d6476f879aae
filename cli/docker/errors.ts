import { visible } from '../output/text.ts';

/**
 * An error response of the bridge in Docker's form: `{"message": …}`. docker prints it as it is, and it can quote what an
 * image or a host has written, so control sequences are escaped here.
 */
export class DockerError extends Error {
  readonly code = 'docker';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(visible(message), options);
    this.name = 'DockerError';
    this.status = status;
  }
}

/** The error for a docker feature that Bulkhead does not support. */
export const unsupported = (what: string): DockerError =>
  new DockerError(501, `${what} is not supported by Bulkhead.`);
