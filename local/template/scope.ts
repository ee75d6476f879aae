/** Resolves names in a template: pseudo-parameters, parameters, resources, conditions, mappings. */
import type { ResourceIdentity } from '../engine.ts';
import { evaluateCondition, IntrinsicError, type Scope } from './intrinsics.ts';
import { asRecord, isJsonObject, type Json, type JsonObject } from './json.ts';

export interface TemplateEnvironment {
  readonly region: string;
  readonly accountId: string;
  readonly partition: string;
  readonly stackName: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** CDK adds it to check that an account is bootstrapped; not needed here. */
const bootstrapParameter = 'BootstrapVersion';

const pseudoParameters = ({ region, accountId, partition, stackName }: TemplateEnvironment) => ({
  'AWS::Region': region,
  'AWS::AccountId': accountId,
  'AWS::Partition': partition,
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': stackName,
  'AWS::StackId': `arn:${partition}:cloudformation:${region}:${accountId}:stack/${stackName}/local`,
});

/** @param identity the identity of a created resource. */
export const createScope = (
  template: JsonObject,
  environment: TemplateEnvironment,
  identity: (logicalId: string) => ResourceIdentity | undefined,
): Scope => {
  const pseudo: Readonly<Record<string, Json>> = pseudoParameters(environment);

  const parameter = (name: string): Json | undefined => {
    const declared = asRecord(template.Parameters)[name];
    if (!isJsonObject(declared) || name === bootstrapParameter) return undefined;
    const value = environment.parameters?.[name] ?? declared.Default;
    if (value === undefined) throw new IntrinsicError(`parameter '${name}' has no value and no default`);
    return String(declared.Type).includes('List') ? String(value).split(',') : value;
  };

  const scope: Scope = {
    ref: (name) => {
      const value = pseudo[name] ?? identity(name)?.ref ?? parameter(name);
      if (value === undefined) throw new IntrinsicError(`Ref: '${name}' has no value`);
      return value;
    },
    getAtt: (logicalId, attribute) => {
      const value = identity(logicalId)?.attributes[attribute];
      if (value !== undefined) return value;
      const type = asRecord(asRecord(template.Resources)[logicalId]).Type ?? 'not in the template';
      throw new IntrinsicError(`Fn::GetAtt: ${logicalId}.${attribute} (${String(type)}) is not implemented`);
    },
    condition: (name) => {
      const condition = asRecord(template.Conditions)[name];
      if (condition === undefined) throw new IntrinsicError(`condition '${name}' is not in the template`);
      return evaluateCondition(condition, scope);
    },
    map: (name, first, second) => {
      const value = asRecord(asRecord(asRecord(template.Mappings)[name])[first])[second];
      if (value === undefined) throw new IntrinsicError(`Fn::FindInMap: no ${name}.${first}.${second}`);
      return value;
    },
  };
  return scope;
};
