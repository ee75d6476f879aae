import { BulkheadError } from '../../core/domain/errors.ts';

/** The function's own configuration is not as it must be: nobody who calls the API can do anything about it. */
export class ConfigurationError extends BulkheadError {
  readonly code = 'internal';
}
