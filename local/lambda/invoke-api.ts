/** Lambda's Invoke REST API: `POST /2015-03-31/functions/{name}/invocations`. */
import { readBody, sendJson } from '../endpoint/loopback-server.ts';
import type { FunctionInvoker, RequestHandler } from '../engine.ts';
import { FunctionNotFoundError, ServiceError, ThrottledError } from '../errors.ts';

export const invokePrefix = '/2015-03-31/functions/';

const checkedPayload = (text: string): string => {
  if (text === '') return '{}';
  try {
    JSON.parse(text);
    return text;
  } catch {
    throw new ServiceError('InvalidRequestContentException', 'Could not parse request body into json');
  }
};

export const createInvokeApi =
  (functions: FunctionInvoker): RequestHandler =>
  async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const [encoded, verb, ...rest] = pathname.slice(invokePrefix.length).split('/');
    if (request.method !== 'POST' || encoded === undefined || verb !== 'invocations' || rest.length > 0)
      return false;
    const name = decodeURIComponent(encoded);
    const payload = checkedPayload(await readBody(request));
    const kind = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
    try {
      if (kind === 'Event') {
        const requestId = await functions.invokeAsync(name, payload);
        response.writeHead(202, { 'x-amzn-requestid': requestId }).end();
        return true;
      }
      if (kind !== 'RequestResponse')
        throw new ServiceError('InvalidParameterValueException', `InvocationType ${kind}`);
      const result = await functions.invoke(name, payload);
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-amz-executed-version': '$LATEST',
        'x-amzn-requestid': result.requestId,
        ...(result.functionError && { 'x-amz-function-error': result.functionError }),
      });
      response.end(result.payload);
    } catch (error) {
      if (error instanceof ThrottledError) {
        const body = { Type: 'User', Reason: 'ReservedFunctionConcurrentInvocationLimitExceeded' };
        sendJson(response, 429, { ...body, message: 'Rate Exceeded.' }, { 'x-amzn-errortype': error.code });
        return true;
      }
      if (!(error instanceof FunctionNotFoundError)) throw error;
      sendJson(response, 404, { Type: 'User', Message: error.message }, { 'x-amzn-errortype': error.code });
    }
    return true;
  };
