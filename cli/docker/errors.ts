/** An answer of the bridge that is no success, in Docker's words: `{"message": …}`. */
export class DockerError extends Error {
  readonly code = 'docker';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DockerError';
    this.status = status;
  }
}

/** Something that docker can and Bulkhead cannot, refused by its name. */
export const unsupported = (what: string): DockerError =>
  new DockerError(501, `${what} is not supported by Bulkhead.`);
