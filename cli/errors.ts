/** Something that the CLI itself has to say, in place of what it was asked for. */
export abstract class CliError extends Error {
  abstract readonly code: string;
  readonly suggestion: string | undefined;

  constructor(message: string, suggestion?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.suggestion = suggestion;
  }
}

/** The command line asks for what there is not, or leaves out what must be said. */
export class UsageError extends CliError {
  readonly code = 'usage';
}

/** There is no control plane to talk to, or no token for it. */
export class SettingsError extends CliError {
  readonly code = 'settings';
}

/** The user ended the wait; what was begun goes on. */
export class InterruptedError extends CliError {
  readonly code = 'interrupted';
}

/** Said already; only the exit code is left. A command in a container ends with its own. */
export class ExitError extends CliError {
  readonly code = 'exit';
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}
