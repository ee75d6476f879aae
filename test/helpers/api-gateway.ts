/** Starts the embedded API Gateway with the given resources, in front of functions that are closures. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ApiGatewayOptions,
  createApiGatewayEngine,
} from '../../local/api-gateway/api-gateway-engine.ts';
import type { Clock, CloudContext, InvocationResult, ResourceIdentity } from '../../local/engine.ts';
import { ThrottledError } from '../../local/errors.ts';
import { LOCAL_CREDENTIALS } from './local-fixtures.ts';

// biome-ignore lint/suspicious/noExplicitAny: events are read by tests as the functions of a user would read them
export type Event = any;
export type TestFunction = (event: Event) => unknown;

/** If a test function throws this, it is an unhandled error in Lambda's terms. */
export class FunctionFailure extends Error {}

export const arnOf = (name: string): string => `arn:aws:lambda:us-east-1:123456789012:function:${name}`;
export const uriOf = (name: string): string =>
  `arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${arnOf(name)}/invocations`;

/** Type (without its prefix), logical id, properties. `@X` in a value is replaced by `Ref` of the resource X. */
export type Resource = readonly [type: string, logicalId: string, properties: Record<string, unknown>];

const resolve = (value: unknown, known: ReadonlyMap<string, ResourceIdentity>): unknown => {
  if (typeof value === 'string')
    return value.replace(/@(\w+)/g, (whole, id: string) => known.get(id)?.ref ?? whole);
  if (Array.isArray(value)) return value.map((one) => resolve(one, known));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolve(one, known)]));
};

const invokerOf = (functions: Readonly<Record<string, TestFunction>>): CloudContext['functions'] => ({
  invoke: async (functionName, payload): Promise<InvocationResult> => {
    const run = functions[functionName.split(':').at(-1) ?? ''];
    if (run === undefined) throw new FunctionFailure(`no function ${functionName}`);
    try {
      const result = await run(JSON.parse(payload));
      return { payload: JSON.stringify(result ?? null), requestId: randomUUID() };
    } catch (error) {
      if (error instanceof ThrottledError) throw error;
      const errorMessage = error instanceof Error ? error.message : String(error);
      const failure = JSON.stringify({ errorType: 'Error', errorMessage });
      return { payload: failure, functionError: 'Unhandled', requestId: randomUUID() };
    }
  },
  invokeAsync: async () => randomUUID(),
});

export interface Started {
  readonly identities: ReadonlyMap<string, ResourceIdentity>;
  readonly stateDir: string;
  endpoint(logicalId: string): string;
  stop(): Promise<void>;
}

export interface Setting {
  readonly resources: readonly Resource[];
  readonly functions: Readonly<Record<string, TestFunction>>;
  readonly clock: Clock;
  readonly options?: Partial<ApiGatewayOptions>;
}

export const startApiGateway = async (setting: Setting): Promise<Started> => {
  const stateDir = mkdtempSync(join(tmpdir(), 'bulkhead-api-'));
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const context: CloudContext = {
    region: 'us-east-1',
    accountId: '123456789012',
    partition: 'aws',
    stackName: 'Bulkhead',
    stateDir,
    clock: setting.clock,
    log: silent,
    newId: randomUUID,
    random: () => 0.5,
    functions: invokerOf(setting.functions),
    frontDoor: { url: 'http://127.0.0.1:1', mount: () => {}, forward: () => {} },
    credentials: LOCAL_CREDENTIALS,
  };
  const engine = createApiGatewayEngine(context, { port: 0, ...setting.options });
  const identities = new Map<string, ResourceIdentity>();
  const stop = async () => {
    await engine.quiesce();
    await engine.stop();
    rmSync(stateDir, { recursive: true, force: true });
  };
  try {
    for (const [type, logicalId, properties] of setting.resources)
      identities.set(
        logicalId,
        await engine.create({
          logicalId,
          path: `Bulkhead/${logicalId}`,
          type: `AWS::ApiGatewayV2::${type}`,
          properties: resolve(properties, identities) as Record<string, unknown>,
          metadata: {},
        }),
      );
    await engine.start();
    await engine.activate();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    identities,
    stateDir,
    endpoint: (logicalId) => identities.get(logicalId)?.attributes.ApiEndpoint ?? '',
    stop,
  };
};
