import { BulkheadError } from '../../core/domain/errors.ts';

/** The configuration of the function is invalid. Callers of the API cannot correct it. */
export class ConfigurationError extends BulkheadError {
  readonly code = 'internal';
}
