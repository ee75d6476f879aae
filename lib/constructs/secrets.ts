import type { RemovalPolicy } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { SecretKey } from '../function-specs.ts';
import { acknowledge } from './acknowledge.ts';

export interface SecretsProps {
  readonly removalPolicy: RemovalPolicy;
}

/** Length of a generated secret in characters: far more entropy than a 256-bit key needs. */
const LENGTH = 64;

/**
 * The secrets from which functions derive their keys. CloudFormation generates a new value when the generation settings
 * change. That is a rotation, so change the settings only if necessary.
 */
export class Secrets extends Construct {
  readonly of: Readonly<Record<SecretKey, Secret>>;

  constructor(scope: Construct, id: string, { removalPolicy }: SecretsProps) {
    super(scope, id);
    const generated = (name: string, description: string) => {
      const secret = new Secret(this, name, {
        description: `Bulkhead: ${description}`,
        generateSecretString: { passwordLength: LENGTH, excludePunctuation: true },
        removalPolicy,
      });
      acknowledge(
        secret,
        'Rotated by hand, see docs/runbook/commands-refused.md: disconnected hosts must be able to follow',
        'AwsSolutions-SMG4',
      );
      return secret;
    };
    this.of = {
      signingSecret: generated('Signing', 'source of the keys that sign commands to hosts'),
      sessionSecret: generated('Sessions', 'source of the key that seals session tokens'),
    };
  }
}
