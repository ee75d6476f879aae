import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Suppresses findings of cdk-nag on a construct and its children, with a reason.
 *
 * @param findings ids such as `AwsSolutions-IAM5[Resource::*]`.
 */
export const acknowledge = (construct: IConstruct, reason: string, ...findings: readonly string[]): void => {
  for (const id of findings) Validations.of(construct).acknowledge({ id, reason });
};
