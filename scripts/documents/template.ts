import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TENANT_CLAIM_FUNCTION } from '../../core/contract/tenant-claim.ts';
import { synthesize } from '../../lib/app.ts';
import { FUNCTION_NAMES } from '../../lib/function-specs.ts';

export interface TemplateResource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: readonly string[];
}

export interface SynthesizedTemplate {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Outputs: Readonly<Record<string, unknown>>;
}

/**
 * A new folder of bundled functions that do nothing, for uses of the template that do not depend on the functions' code.
 * The code is always the same, so that assets have the same hashes. The caller deletes it.
 */
export const placeholderFunctions = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'bulkhead-placeholder-functions-'));
  for (const name of [...FUNCTION_NAMES, TENANT_CLAIM_FUNCTION]) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'index.mjs'), `export const handler = async () => '${name}';\n`);
  }
  return directory;
};

/**
 * Synthesizes the app with functions that do nothing. If `context` has no issuer, the app has a Cognito user pool.
 *
 * @throws SynthesisError
 */
export const templateOf = (context: Readonly<Record<string, unknown>>): SynthesizedTemplate => {
  const functions = placeholderFunctions();
  const outdir = mkdtempSync(join(tmpdir(), 'bulkhead-synthesized-'));
  try {
    const assembly = synthesize({ outdir, context, prebundledFunctions: functions });
    return assembly.getStackByName('Bulkhead').template as SynthesizedTemplate;
  } finally {
    rmSync(functions, { recursive: true });
    rmSync(outdir, { recursive: true });
  }
};
