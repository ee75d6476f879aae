import { BulkheadError } from '../../../core/domain/errors.ts';

/** More bytes than a body may have. */
export class BodyTooLargeError extends BulkheadError {
  readonly code = 'body-too-large';
}

export class BodyNotJsonError extends BulkheadError {
  readonly code = 'body-not-json';
}

export class UnsupportedMediaTypeError extends BulkheadError {
  readonly code = 'unsupported-media-type';
}
