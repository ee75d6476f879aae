import {
  type SynthesizedTemplate,
  type TemplateResource,
  templateOf as templateIn,
} from '../../../scripts/documents/template.ts';

export type { SynthesizedTemplate, TemplateResource };

export const OIDC_CONTEXT = { oidcIssuer: 'https://issuer.example.com', oidcAudience: 'bulkhead' };

/** Synthesizes the app with functions that do nothing. If `context` has no issuer, the app has a Cognito user pool. */
export const templateOf = (context: Readonly<Record<string, unknown>> = OIDC_CONTEXT): SynthesizedTemplate =>
  templateIn(context);

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
