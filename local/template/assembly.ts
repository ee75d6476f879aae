/** Reads a synthesized cloud assembly (`cdk.out`) as data. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AssemblyError } from '../errors.ts';
import { asRecord, asString, type Json, type JsonObject } from './json.ts';

export interface Assembly {
  readonly stackName: string;
  readonly template: JsonObject;
  /** The directory or file of the asset with this S3 object key, or undefined. */
  assetPath(objectKey: string): string | undefined;
}

const readJson = (file: string): JsonObject => {
  try {
    return asRecord(JSON.parse(readFileSync(file, 'utf8')) as Json);
  } catch (cause) {
    throw new AssemblyError(`cannot read ${file} as JSON. Synthesize the app first.`, { cause });
  }
};

const assetPaths = (directory: string, manifestFile: string): [string, string][] =>
  Object.values(asRecord(readJson(join(directory, manifestFile)).files)).flatMap((asset) => {
    const { source, destinations } = asRecord(asset);
    const path = asString(asRecord(source).path);
    if (path === undefined) return [];
    return Object.values(asRecord(destinations)).map((destination): [string, string] => [
      String(asRecord(destination).objectKey),
      join(directory, path),
    ]);
  });

/**
 * @param directory folder with `manifest.json`.
 * @param stackName required if the assembly has several stacks.
 * @throws AssemblyError
 */
export const readAssembly = (directory: string, stackName?: string): Assembly => {
  const artifacts = Object.entries(asRecord(readJson(join(directory, 'manifest.json')).artifacts)).map(
    ([id, artifact]) => ({ id, ...asRecord(artifact), properties: asRecord(asRecord(artifact).properties) }),
  );
  const typeOf = (artifact: object) => ('type' in artifact ? artifact.type : undefined);
  const stacks = artifacts
    .filter((artifact) => typeOf(artifact) === 'aws:cloudformation:stack')
    .map(({ id, properties }) => ({
      name: asString(properties.stackName) ?? id,
      file: asString(properties.templateFile),
    }));
  const chosen = stackName === undefined ? stacks : stacks.filter((stack) => stack.name === stackName);
  const [stack] = chosen;
  if (stack?.file === undefined || chosen.length !== 1) {
    const names = stacks.map((one) => one.name).join(', ');
    throw new AssemblyError(
      `${directory} has the stacks [${names}], but exactly one is required${stackName ? `: '${stackName}'` : ''}`,
    );
  }
  const assets = new Map(
    artifacts
      .filter((artifact) => typeOf(artifact) === 'cdk:asset-manifest')
      .flatMap(({ properties }) => assetPaths(directory, String(properties.file))),
  );
  return {
    stackName: stack.name,
    template: readJson(join(directory, stack.file)),
    assetPath: (objectKey) => assets.get(objectKey),
  };
};
