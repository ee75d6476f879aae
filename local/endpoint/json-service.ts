import type { JsonObject } from '../template/json.ts';

/** A service of the AWS JSON protocols (1.0 and 1.1), called by `x-amz-target: <prefix>.<operation>`. */
export interface JsonService {
  readonly prefix: string;
  /** @throws ServiceError, which is returned to the caller with its code. */
  call(operation: string, input: JsonObject): Promise<JsonObject>;
}
