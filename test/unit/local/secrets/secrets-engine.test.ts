import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SecretsEngine } from '../../../../local/secrets/secrets-engine.ts';
import type { JsonObject } from '../../../../local/template/json.ts';
import {
  removeTemporaryDirectories,
  resource,
  temporaryDirectory,
  testContext,
} from '../../../helpers/local-fixtures.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

let stateDir: string;
let secrets: SecretsEngine;
let arn: string;

const open = () => {
  secrets = new SecretsEngine(testContext({ clock: new ManualCloudClock(), stateDir }));
  const GenerateSecretString = { PasswordLength: 64, ExcludePunctuation: true };
  arn = secrets.create(resource('AWS::SecretsManager::Secret', { GenerateSecretString })).ref;
};
beforeEach(() => {
  stateDir = temporaryDirectory();
  open();
});
afterAll(removeTemporaryDirectories);

const get = (VersionStage?: string) =>
  secrets.service.call('GetSecretValue', { SecretId: arn, ...(VersionStage && { VersionStage }) });
const put = (input: JsonObject) => secrets.service.call('PutSecretValue', { SecretId: arn, ...input });

describe('a secret', () => {
  test('has a generated value, which is kept across restarts', async () => {
    const { SecretString } = await get();
    expect(SecretString).toMatch(/^[A-Za-z0-9]{64}$/);
    open();
    expect(await get()).toMatchObject({ SecretString, VersionStages: ['AWSCURRENT'] });
  });

  test('is in a file that only its owner can read', () => {
    expect(statSync(join(stateDir, 'secrets.json')).mode & 0o777).toBe(0o600);
  });

  test('keeps the previous value, but no older values', async () => {
    const { SecretString: first } = await get();
    await expect(get('AWSPREVIOUS')).rejects.toMatchObject({ code: 'ResourceNotFoundException' });
    await put({ SecretString: 'second' });
    expect(await get()).toMatchObject({ SecretString: 'second' });
    expect(await get('AWSPREVIOUS')).toMatchObject({ SecretString: first });
    await put({ SecretString: 'third' });
    expect(await get('AWSPREVIOUS')).toMatchObject({ SecretString: 'second' });
  });

  test('refuses operations that are not implemented', async () => {
    await expect(secrets.service.call('DeleteSecret', {})).rejects.toMatchObject({
      code: 'UnknownOperationException',
    });
    await expect(put({ SecretBinary: 'AA==' })).rejects.toMatchObject({ code: 'InvalidParameterException' });
    const elsewhere = secrets.service.call('GetSecretValue', { SecretId: 'another' });
    await expect(elsewhere).rejects.toMatchObject({ code: 'ResourceNotFoundException' });
  });
});
