import type { RemovalPolicy } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

export interface SigningSecretProps {
  readonly removalPolicy: RemovalPolicy;
}

/** Characters of the generated secret: far more than the 256 bits of a key. */
const LENGTH = 64;

/**
 * The secret from which the keys that sign commands to hosts are derived. CloudFormation generates a new value if how
 * it is generated changes, which is a rotation: don't change it without need.
 */
export class SigningSecret extends Construct {
  readonly secret: Secret;

  constructor(scope: Construct, id: string, { removalPolicy }: SigningSecretProps) {
    super(scope, id);
    this.secret = new Secret(this, 'Secret', {
      description: 'Bulkhead: the keys that sign commands to hosts are derived from this',
      generateSecretString: { passwordLength: LENGTH, excludePunctuation: true },
      removalPolicy,
    });
    acknowledge(
      this.secret,
      'Rotated by hand, as docs/runbook/commands-refused.md says: hosts that are away must be able to follow',
      'AwsSolutions-SMG4',
    );
  }
}
