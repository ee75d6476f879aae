import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Accepts findings of the checks (cdk-nag) on a construct and what stands below it, for a reason.
 *
 * @param findings ids such as `AwsSolutions-IAM5[Resource::*]`.
 */
export const acknowledge = (construct: IConstruct, reason: string, ...findings: readonly string[]): void => {
  for (const id of findings) Validations.of(construct).acknowledge({ id, reason });
};
