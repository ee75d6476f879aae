import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Validations } from 'aws-cdk-lib';
import type { CfnStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { AwsSolutionsChecks } from 'cdk-nag';
import { createApp } from '../../lib/app.ts';
import { placeholderFunctions } from '../../scripts/documents/template.ts';
import { OIDC_CONTEXT } from './helpers/synthesized.ts';

/** Validates with CloudFormation's own schemas, as `bin/app.ts` does. */
const check = (
  context: Readonly<Record<string, unknown>>,
  spoil?: (app: ReturnType<typeof createApp>) => void,
) => {
  const functions = placeholderFunctions();
  const outdir = mkdtempSync(join(tmpdir(), 'bulkhead-checked-'));
  try {
    const made = createApp({ outdir, context, prebundledFunctions: functions });
    spoil?.(made);
    Validations.of(made.app).addPlugins(new AwsSolutionsChecks(made.app));
    return made.app.synth();
  } finally {
    rmSync(functions, { recursive: true });
    rmSync(outdir, { recursive: true, force: true });
  }
};

test.each([
  ['an existing issuer', OIDC_CONTEXT],
  ['its own user pool', {}],
])('with %s, no finding is left unacknowledged', (_name, context) => {
  expect(() => check(context)).not.toThrow();
});

test('an unacknowledged finding stops the synthesis', () => {
  const removeLogs = ({ stack }: ReturnType<typeof createApp>) => {
    const stage = stack.controlPlane.api.node.findChild('Stage') as CfnStage;
    stage.accessLogSettings = undefined;
  };
  expect(() => check(OIDC_CONTEXT, removeLogs)).toThrow('AwsSolutions-APIG1');
});
