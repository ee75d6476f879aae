/** An error of the CLI itself. */
export abstract class CliError extends Error {
  abstract readonly code: string;
  readonly suggestion: string | undefined;

  constructor(message: string, suggestion?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.suggestion = suggestion;
  }
}

/** The command line is invalid or incomplete. */
export class UsageError extends CliError {
  readonly code = 'usage';
}

/** No control plane is configured, or no token for it. */
export class SettingsError extends CliError {
  readonly code = 'settings';
}

/** The user ended the wait; the operation continues. */
export class InterruptedError extends CliError {
  readonly code = 'interrupted';
}

/** Carries only an exit code: the error was already shown, or a command in a container returned the code. */
export class ExitError extends CliError {
  readonly code = 'exit';
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}
