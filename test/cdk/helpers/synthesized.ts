import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { synthesize } from '../../../lib/app.ts';
import { trivialFunctions } from './trivial-functions.ts';

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

export const OIDC_CONTEXT = { oidcIssuer: 'https://issuer.example.com', oidcAudience: 'bulkhead' };

/** Synthesizes the app with functions that do nothing. If `context` has no issuer, the app has a Cognito user pool. */
export const templateOf = (
  context: Readonly<Record<string, unknown>> = OIDC_CONTEXT,
): SynthesizedTemplate => {
  const functions = trivialFunctions();
  const outdir = mkdtempSync(join(tmpdir(), 'bulkhead-synthesized-'));
  try {
    const assembly = synthesize({ outdir, context, prebundledFunctions: functions });
    return assembly.getStackByName('Bulkhead').template as SynthesizedTemplate;
  } finally {
    rmSync(functions, { recursive: true });
    rmSync(outdir, { recursive: true });
  }
};

export const resourcesOf = (
  template: SynthesizedTemplate,
  type: string,
): readonly (TemplateResource & { readonly logicalId: string })[] =>
  Object.entries(template.Resources)
    .filter(([, resource]) => resource.Type === type)
    .map(([logicalId, resource]) => ({ logicalId, ...resource }));

/** `aws:cdk:path` of a resource. */
export const pathOf = (resource: TemplateResource): string =>
  String(resource.Metadata?.['aws:cdk:path'] ?? '');
