import { CliError } from '../../cli/errors.ts';

/** The demonstration cannot be given. */
export class DemoError extends CliError {
  readonly code = 'demo';
}
