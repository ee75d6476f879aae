import type { RemovalPolicy } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { SecretKey } from '../function-specs.ts';
import { acknowledge } from './acknowledge.ts';

export interface SecretsProps {
  readonly removalPolicy: RemovalPolicy;
}

/** Characters of a generated secret: far more than the 256 bits of a key. */
const LENGTH = 64;

/**
 * The secrets from which functions derive their keys. CloudFormation generates a new value if how it is generated
 * changes, which is a rotation: don't change it without need.
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
        'Rotated by hand, as docs/runbook/commands-refused.md says: hosts that are away must be able to follow',
        'AwsSolutions-SMG4',
      );
      return secret;
    };
    this.of = {
      signingSecret: generated('Signing', 'the keys that sign commands to hosts are derived from this'),
      sessionSecret: generated('Sessions', 'the key that seals tokens of sessions is derived from this'),
    };
  }
}
