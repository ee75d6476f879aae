import { CliError } from '../../cli/errors.ts';

/** The demo cannot run. */
export class DemoError extends CliError {
  readonly code = 'demo';
}
