import { escapeControls } from '../output/text.ts';

/**
 * An error response of the bridge in Docker's form: `{"message": …}`. docker prints the message unchanged, and the message can
 * quote text from an image or a host. So control sequences are escaped here.
 */
export class DockerError extends Error {
  readonly code = 'docker';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(escapeControls(message), options);
    this.name = 'DockerError';
    this.status = status;
  }
}

/** The error for a docker feature that Bulkhead does not support. */
export const unsupported = (what: string, instead?: string): DockerError =>
  new DockerError(501, `${what} is not supported by Bulkhead.${instead === undefined ? '' : ` ${instead}`}`);

export const noSuchContainer = (reference: string): DockerError =>
  new DockerError(404, `No such container: ${reference}`);
