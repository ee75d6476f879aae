/**
 * The runtime inside a worker thread: loads one function's module, then runs one invocation at a time.
 * JavaScript, not TypeScript: stripping types costs each new worker about 20 ms.
 *
 * Messages in:  {requestId, payload, timeoutMs}
 * Messages out: {kind: 'ready'} | {kind: 'initFailed', error} | {kind: 'result', payload}
 *               | {kind: 'failed', error} (handler) | {kind: 'crashed', error} (then the thread ends) | {kind: 'log', text}
 * Shapes of errors: those of the Node.js runtime interface client (aws/aws-lambda-nodejs-runtime-interface-client).
 */
import module from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

const { modulePath, handlerName, functionArn, functionName, memoryMB, logGroup, compileCache } = workerData;

const sendLog = (chunk, encoding, callback) => {
  parentPort.postMessage({
    kind: 'log',
    text: typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString(),
  });
  const done = typeof encoding === 'function' ? encoding : callback;
  done?.();
  return true;
};
// Sent directly to the owner of the log file: output that a thread's own stdout has buffered is lost when the thread
// dies.
process.stdout.write = sendLog;
process.stderr.write = sendLog;

const describe = (error, errorType) =>
  error instanceof Error
    ? {
        errorType: errorType ?? error.name,
        errorMessage: error.message,
        trace: (error.stack ?? '').split('\n'),
      }
    : { errorType: errorType ?? typeof error, errorMessage: String(error), trace: [] };

const crash = (error) => {
  parentPort.postMessage({ kind: 'crashed', error });
  process.exit(129);
};
process.on('uncaughtException', (error) => crash(describe(error)));
process.on('unhandledRejection', (reason) => {
  const { trace } = describe(reason);
  crash({
    errorType: 'Runtime.UnhandledPromiseRejection',
    errorMessage: reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason),
    trace,
  });
});

const loadHandler = async () => {
  const loaded = await import(modulePath);
  const handler = handlerName.split('.').reduce((value, key) => value?.[key], loaded);
  if (typeof handler !== 'function') {
    return {
      error: {
        errorType: 'Runtime.HandlerNotFound',
        errorMessage: `${handlerName} is undefined or not exported`,
        trace: [],
      },
    };
  }
  if (handler.length >= 3) {
    const errorMessage =
      'callback-based handlers are not supported by the Node.js 24 runtime: return a promise';
    return { error: { errorType: 'Runtime.CallbackHandlerDeprecated', errorMessage, trace: [] } };
  }
  return { handler };
};

const invoke = async (handler, { requestId, payload, timeoutMs }) => {
  const deadline = Date.now() + timeoutMs;
  const context = {
    awsRequestId: requestId,
    callbackWaitsForEmptyEventLoop: true,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: functionArn,
    logGroupName: logGroup,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    memoryLimitInMB: String(memoryMB),
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  try {
    const result = await handler(JSON.parse(payload), context);
    parentPort.postMessage({ kind: 'result', payload: JSON.stringify(result) ?? 'null' });
  } catch (error) {
    parentPort.postMessage({ kind: 'failed', error: describe(error) });
  }
};

if (compileCache) module.enableCompileCache(compileCache);
try {
  const { handler, error } = await loadHandler();
  if (handler) {
    parentPort.on('message', (invocation) => void invoke(handler, invocation));
    parentPort.postMessage({ kind: 'ready' });
  } else {
    parentPort.postMessage({ kind: 'initFailed', error });
  }
} catch (error) {
  const missing = error?.code === 'ERR_MODULE_NOT_FOUND';
  const errorType = missing ? 'Runtime.ImportModuleError' : undefined;
  parentPort.postMessage({ kind: 'initFailed', error: describe(error, errorType) });
}
