import { isObject, type JsonObject } from '../json.ts';
import { ServiceError } from './service-error.ts';

/** AWS's limit on inputs and outputs, in bytes. */
const MAX_BYTES = 262_144;
const NAME = /^[^\s\p{Cc}<>{}[\]?*"#%\\^|~`$&,;:/]{1,80}$/u;

export const asRequest = (body: unknown): JsonObject => {
  if (isObject(body)) return body;
  throw new ServiceError('SerializationException', 'Expected a JSON object');
};

export const requiredText = (request: JsonObject, field: string): string => {
  const value = request[field];
  if (typeof value === 'string' && value !== '') return value;
  throw new ServiceError(
    'ValidationException',
    `1 validation error detected: Value at '${field}' failed to satisfy constraint: Member must not be null`,
  );
};

export const optionalText = (request: JsonObject, field: string): string | undefined => {
  const value = request[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw new ServiceError('SerializationException', `'${field}' is not a string`);
};

export const maxResults = (request: JsonObject, most: number, fallback: number): number => {
  const { maxResults: value } = request;
  if (value === undefined || value === null || value === 0) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= most) return value;
  throw new ServiceError(
    'ValidationException',
    `Value '${value}' at 'maxResults' failed to satisfy constraint`,
  );
};

/** Page tokens are opaque; they contain the last returned id. */
export const pageAfter = (request: JsonObject): number | undefined => {
  const token = optionalText(request, 'nextToken');
  if (token === undefined) return undefined;
  const value = Number(Buffer.from(token, 'base64url').toString());
  if (Number.isInteger(value)) return value;
  throw new ServiceError('InvalidToken', `Invalid Token: 'Invalid token'`);
};

export const pageToken = (id: number): string => {
  return Buffer.from(String(id)).toString('base64url');
};

/** @throws ServiceError InvalidExecutionInput or InvalidOutput */
export const checkedJson = (text: string, code: 'InvalidExecutionInput' | 'InvalidOutput'): string => {
  if (Buffer.byteLength(text) > MAX_BYTES) {
    throw new ServiceError('ValidationException', `The data is longer than ${MAX_BYTES} bytes`);
  }
  try {
    JSON.parse(text);
  } catch (error) {
    const kind = code === 'InvalidOutput' ? 'Output' : 'State Machine Execution Input';
    throw new ServiceError(code, `Invalid ${kind}: '${(error as Error).message}'`);
  }
  return text;
};

export const checkedName = (name: string): string => {
  if (NAME.test(name)) return name;
  throw new ServiceError('InvalidName', `Invalid Name: '${name}'`);
};
