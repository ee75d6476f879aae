import { BulkheadError } from '../../../core/domain/errors.ts';

/** The body exceeds the size limit. */
export class BodyTooLargeError extends BulkheadError {
  readonly code = 'body-too-large';
}

export class BodyNotJsonError extends BulkheadError {
  readonly code = 'body-not-json';
}

export class UnsupportedMediaTypeError extends BulkheadError {
  readonly code = 'unsupported-media-type';
}
