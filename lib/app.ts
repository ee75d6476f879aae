import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { App, DefaultStackSynthesizer } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import type { BulkheadControlPlaneProps } from './constructs/control-plane.ts';
import { readContext } from './context.ts';
import { BulkheadStack } from './stacks/bulkhead-stack.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

export interface AppOptions {
  /** Folder of the cloud assembly. @default the CDK CLI's output folder, else a temporary one */
  readonly outdir?: string;
  /** The context, as from `--context`; see `context.ts` for the keys. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** Functions that are bundled already: `<name>/index.mjs`. @default bundled from `functions/` */
  readonly prebundledFunctions?: string;
  /**
   * Whether the CDK checks the template against CloudFormation's schemas; takes a second or two. @default true
   */
  readonly validate?: boolean;
}

const version = (): string => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return version;
};

/** Settings that the CDK CLI adds. Set here too, so that the template is the same without the CLI. */
const CONTEXT = {
  'aws:cdk:enable-path-metadata': true,
  '@aws-cdk/core:validateAgainstDefaultRules': true,
};

/**
 * The CDK app, not yet synthesized.
 *
 * @throws SynthesisError
 */
export const createApp = (options: AppOptions = {}): { app: App; stack: BulkheadStack } => {
  const app = new App({
    ...(options.outdir === undefined ? {} : { outdir: options.outdir }),
    context: { ...CONTEXT, ...options.context },
    analyticsReporting: false,
    treeMetadata: false,
    autoSynth: false,
    builtinCloudFormationValidation: options.validate ?? true,
  });
  const functions: Pick<BulkheadControlPlaneProps, 'functionsRoot' | 'prebundledFunctions'> =
    options.prebundledFunctions === undefined
      ? { functionsRoot: join(ROOT, 'functions') }
      : { prebundledFunctions: options.prebundledFunctions };
  const stack = new BulkheadStack(app, 'Bulkhead', {
    // The CLI finds the bootstrap stack without a parameter in the template.
    synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
    controlPlane: { ...readContext(app.node), ...functions, version: version() },
  });
  return { app, stack };
};

/**
 * Synthesizes in process, in a second or two and without the CDK CLI.
 *
 * @returns the cloud assembly, in `options.outdir`
 * @throws SynthesisError
 */
export const synthesize = (options: AppOptions & { readonly outdir: string }): CloudAssembly =>
  createApp({ validate: false, ...options }).app.synth();
