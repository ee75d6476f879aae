/** Small templates and functions for tests of the embedded cloud. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../local/clock.ts';
import type { CloudContext, Log, ResolvedResource } from '../../local/engine.ts';

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const directories: string[] = [];
export const temporaryDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'bulkhead-unit-'));
  directories.push(directory);
  return directory;
};
export const removeTemporaryDirectories = (): void => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
};

/** Credentials for signing requests to an embedded service in a test. */
export const LOCAL_CREDENTIALS = { accessKeyId: 'LOCALTEST', secretAccessKey: 'secret' };

export const testContext = (overrides: Partial<CloudContext> = {}): CloudContext => ({
  region: 'us-east-1',
  accountId: '000000000000',
  partition: 'aws',
  stackName: 'Test',
  stateDir: overrides.stateDir ?? temporaryDirectory(),
  clock: systemClock,
  log: silentLog,
  newId: randomUUID,
  random: () => 0.5,
  functions: {
    invoke: () => Promise.reject(new TypeError('no functions in this test')),
    invokeAsync: () => Promise.reject(new TypeError('no functions in this test')),
  },
  frontDoor: { url: 'http://127.0.0.1:1', mount: () => {}, forward: () => {} },
  credentials: LOCAL_CREDENTIALS,
  ...overrides,
});

export const resource = (
  type: string,
  properties: Record<string, unknown>,
  logicalId = 'Thing',
): ResolvedResource => ({ logicalId, path: `Test/${logicalId}`, type, properties, metadata: {} });

/** A function resource whose code is asset `<name>`. */
export const functionResource = (name: string, properties: Record<string, unknown> = {}) => ({
  Type: 'AWS::Lambda::Function',
  Properties: {
    FunctionName: name,
    Runtime: 'nodejs24.x',
    Handler: 'index.handler',
    Code: { S3Bucket: 'assets', S3Key: `${name}.zip` },
    ...properties,
  },
});

export interface FixtureAssembly {
  readonly resources: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  /** The text of each function's `index.mjs`, by name. */
  readonly functions?: Readonly<Record<string, string>>;
}

/** Writes `index.mjs` of each function below a directory. @returns the folder of each asset. */
export const writeFunctions = (directory: string, functions: Readonly<Record<string, string>>) => {
  for (const [name, source] of Object.entries(functions)) {
    mkdirSync(join(directory, `asset.${name}`), { recursive: true });
    writeFileSync(join(directory, `asset.${name}`, 'index.mjs'), source);
  }
  return (objectKey: string) => join(directory, `asset.${objectKey.replace(/\.zip$/, '')}`);
};

/** A cloud assembly as the CDK writes it. @returns its directory. */
export const writeAssembly = ({ resources, outputs = {}, functions = {} }: FixtureAssembly): string => {
  const directory = temporaryDirectory();
  writeFunctions(directory, functions);
  const files = Object.fromEntries(
    Object.keys(functions).map((name) => [
      name,
      {
        source: { path: `asset.${name}`, packaging: 'zip' },
        destinations: { current: { bucketName: 'assets', objectKey: `${name}.zip` } },
      },
    ]),
  );
  const write = (name: string, content: unknown) =>
    writeFileSync(join(directory, name), JSON.stringify(content));
  write('Test.template.json', { Resources: resources, Outputs: outputs });
  write('Test.assets.json', { version: '48.0.0', files });
  write('manifest.json', {
    version: '48.0.0',
    artifacts: {
      'Test.assets': { type: 'cdk:asset-manifest', properties: { file: 'Test.assets.json' } },
      Test: { type: 'aws:cloudformation:stack', properties: { templateFile: 'Test.template.json' } },
    },
  });
  return directory;
};

/** Waits for something that happens soon. Returns undefined after `limitMs`, so that the test fails. */
export const soon = async <T>(probe: () => T | undefined | Promise<T | undefined>, limitMs = 15_000) => {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    const value = await probe();
    if (value !== undefined) return value;
    await sleep(5);
  }
  return undefined;
};
