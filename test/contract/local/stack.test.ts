import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { synthesize } from '../../../lib/app.ts';
import { startCloud } from '../../../local/cloud.ts';
import { TemplateRefusedError } from '../../../local/errors.ts';
import { placeholderFunctions } from '../../../scripts/documents/template.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../../helpers/local-fixtures.ts';

afterAll(removeTemporaryDirectories);

test('all resources of the CDK app’s stack are implemented', async () => {
  const [assemblyDir, stateDir, prebundledFunctions] = [
    temporaryDirectory(),
    temporaryDirectory(),
    placeholderFunctions(),
  ];
  synthesize({
    outdir: assemblyDir,
    prebundledFunctions,
    context: { oidcIssuer: 'http://oidc.bulkhead.localhost', oidcAudience: 'bulkhead' },
  });
  rmSync(prebundledFunctions, { recursive: true });
  const file = join(assemblyDir, 'Bulkhead.template.json');
  const template = JSON.parse(readFileSync(file, 'utf8')) as {
    Resources: Record<string, { Type: string; Properties: object }>;
  };
  const cloud = await startCloud({ assemblyDir, stateDir });
  expect([...cloud.resources.keys()].sort()).toEqual(Object.keys(template.Resources).sort());
  expect(cloud.outputs).toMatchObject({ ApiUrl: cloud.apiUrl, WebSocketUrl: cloud.webSocketUrl });
  await cloud.stop();

  const [table] = Object.values(template.Resources).filter((one) => one.Type === 'AWS::DynamoDB::Table');
  Object.assign(table?.Properties ?? {}, { KinesisStreamSpecification: {} });
  template.Resources.Mail = { Type: 'AWS::SES::EmailIdentity', Properties: {} };
  writeFileSync(file, JSON.stringify(template));
  const refused = startCloud({ assemblyDir, stateDir });
  await expect(refused).rejects.toThrow(TemplateRefusedError);
  await expect(refused).rejects.toThrow(
    /Bulkhead\/ControlPlane\/Data\/Table\S* .*KinesisStreamSpecification/,
  );
  await expect(refused).rejects.toThrow(/AWS::SES::EmailIdentity/);
}, 60_000);
