/** The settings of a function for the pool, from its resource. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Credentials } from '../endpoint/credentials.ts';
import type { CloudContext, ResolvedResource } from '../engine.ts';
import { TemplateProblem } from '../errors.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';

export interface FunctionSettings {
  readonly name: string;
  readonly arn: string;
  /** `file:` URL of the module. */
  readonly modulePath: string;
  /** Name of the export. */
  readonly handlerName: string;
  readonly timeoutMs: number;
  readonly memoryMB: number;
  readonly logGroup: string;
  /** Reserved concurrency, or the maximum of the embedded cloud. */
  readonly maxConcurrency: number;
  /** Whether the template reserves it: then invocations beyond it are throttled, as by Lambda, and do not wait. */
  readonly isReserved: boolean;
  /** As in the template. */
  readonly variables: Readonly<Record<string, string>>;
  readonly deadLetterArn: string | undefined;
  readonly handler: string;
  readonly runtime: string;
}

const extensions = ['.mjs', '.js', '.cjs'];

const locate = (code: JsonObject, handler: string, assetPath: (key: string) => string | undefined) => {
  const key = asString(code.S3Key) ?? '';
  const directory = assetPath(key);
  if (directory === undefined) {
    throw new TemplateProblem([{ property: 'Code.S3Key', message: `no asset '${key}' in the assembly` }]);
  }
  const dot = handler.lastIndexOf('.');
  const base = join(directory, handler.slice(0, dot));
  const file = extensions.map((extension) => base + extension).find((candidate) => existsSync(candidate));
  if (file === undefined) {
    const message = `no module ${handler.slice(0, dot)}{${extensions.join(',')}} in ${directory}`;
    throw new TemplateProblem([{ property: 'Handler', message }]);
  }
  return { modulePath: pathToFileURL(file).href, handlerName: handler.slice(dot + 1) };
};

const strings = (value: Json | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(asRecord(value)).map(([key, one]) => [key, String(one)]));

/** @throws TemplateProblem if the code does not exist. */
export const readFunctionSettings = (
  resource: ResolvedResource,
  context: CloudContext,
  options: { assetPath(objectKey: string): string | undefined; defaultConcurrency: number },
): FunctionSettings => {
  const properties = resource.properties as JsonObject;
  const name = asString(properties.FunctionName) ?? `${context.stackName}-${resource.logicalId}`;
  const handler = asString(properties.Handler) ?? 'index.handler';
  return {
    name,
    arn: `arn:${context.partition}:lambda:${context.region}:${context.accountId}:function:${name}`,
    ...locate(asRecord(properties.Code), handler, options.assetPath),
    timeoutMs: Number(properties.Timeout ?? 3) * 1000,
    memoryMB: Number(properties.MemorySize ?? 128),
    logGroup: asString(asRecord(properties.LoggingConfig).LogGroup) ?? `/aws/lambda/${name}`,
    maxConcurrency: Number(properties.ReservedConcurrentExecutions ?? options.defaultConcurrency),
    isReserved: properties.ReservedConcurrentExecutions !== undefined,
    variables: strings(asRecord(properties.Environment).Variables),
    deadLetterArn: asString(asRecord(properties.DeadLetterConfig).TargetArn),
    handler,
    runtime: String(properties.Runtime),
  };
};

/**
 * The environment of a function, as Lambda sets it (Developer Guide, "Defined runtime environment variables").
 * Endpoints of the embedded cloud override the template: the local endpoint replaces an AWS endpoint in an
 * `AWS_ENDPOINT_URL_…` variable.
 */
export const functionEnvironment = (
  settings: FunctionSettings,
  region: string,
  endpoints: Readonly<Record<string, string>>,
  credentials: Credentials,
): Record<string, string> => ({
  ...(process.env.PATH === undefined ? {} : { PATH: process.env.PATH }),
  LANG: 'en_US.UTF-8',
  TZ: ':UTC',
  ...settings.variables,
  _HANDLER: settings.handler,
  AWS_REGION: region,
  AWS_DEFAULT_REGION: region,
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  AWS_EXECUTION_ENV: `AWS_Lambda_${settings.runtime}`,
  AWS_LAMBDA_FUNCTION_NAME: settings.name,
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(settings.memoryMB),
  AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
  AWS_LAMBDA_LOG_GROUP_NAME: settings.logGroup,
  AWS_LAMBDA_LOG_STREAM_NAME: 'local',
  LAMBDA_TASK_ROOT: new URL('.', settings.modulePath).pathname,
  ...endpoints,
});
