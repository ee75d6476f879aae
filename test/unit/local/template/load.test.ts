import { describe, expect, test } from '@jest/globals';
import type { ResolvedResource, ResourceEngine } from '../../../../local/engine.ts';
import { TemplateProblem, TemplateRefusedError } from '../../../../local/errors.ts';
import type { JsonObject } from '../../../../local/template/json.ts';
import { loadTemplate } from '../../../../local/template/load.ts';
import { accepted, honoured, list, map, object, oneOf } from '../../../../local/template/properties.ts';

const environment = { region: 'us-east-1', accountId: '000000000000', partition: 'aws', stackName: 'S' };

const recordingEngine = () => {
  const created: ResolvedResource[] = [];
  const engine: ResourceEngine = {
    types: {
      'Test::Thing': {
        Name: honoured,
        Mode: oneOf('a', 'b'),
        Nested: object({ Inner: object({ Kept: honoured }), Ignored: accepted('for the test') }),
        Items: list(object({ Id: honoured })),
        Tags: map(honoured),
        Role: accepted('for the test'),
      },
    },
    create: (resource) => {
      if (resource.properties.Name === 'bad') {
        throw new TemplateProblem([{ property: 'Name', message: 'is bad' }]);
      }
      created.push(resource);
      return { ref: `ref-${resource.logicalId}`, attributes: { Arn: `arn:${resource.logicalId}` } };
    },
  };
  return { engine, created };
};

const load = async (template: JsonObject) => {
  const { engine, created } = recordingEngine();
  const stack = await loadTemplate(template, environment, [engine]);
  return { stack, created };
};

const refusal = async (template: JsonObject): Promise<TemplateRefusedError> => {
  try {
    await load(template);
  } catch (error) {
    if (error instanceof TemplateRefusedError) return error;
    throw error;
  }
  throw new TypeError('the template was not refused');
};

const thing = (properties: JsonObject = {}, rest: JsonObject = {}): JsonObject => ({
  Type: 'Test::Thing',
  Properties: properties,
  ...rest,
});

describe('refusals', () => {
  test('list all features that are not implemented', async () => {
    const error = await refusal({
      Resources: {
        Queue: {
          Type: 'AWS::Kinesis::Stream',
          Metadata: { 'aws:cdk:path': 'App/Queue/Resource' },
        },
        One: thing(
          { Nested: { Inner: { Unknown: 1 } }, Surprise: true },
          { Metadata: { 'aws:cdk:path': 'App/One' } },
        ),
        Two: thing({ Items: [{ Id: 'x' }, { Id: 'y', Extra: 1 }], Mode: 'c' }),
        Three: thing({ Name: { 'Fn::Cidr': ['10.0.0.0/8', 1, 8] } }),
        Four: thing({ Name: 'bad' }),
        Five: thing({}, { CreationPolicy: {} }),
      },
    });
    const found = error.problems.map(({ path, type, property }) => `${path} ${type} ${property}`);
    expect(found.sort()).toEqual(
      [
        'App/Queue/Resource AWS::Kinesis::Stream ',
        'App/One Test::Thing Properties.Nested.Inner.Unknown',
        'App/One Test::Thing Properties.Surprise',
        'Two Test::Thing Properties.Items.1.Extra',
        'Two Test::Thing Properties.Mode',
        'Three Test::Thing Properties.Name',
        'Three Test::Thing ',
        'Four Test::Thing Properties.Name',
        'Five Test::Thing CreationPolicy',
      ].sort(),
    );
    expect(error.message).toContain('Fn::Cidr');
    expect(error.message).toContain(
      'App/Queue/Resource (Queue, AWS::Kinesis::Stream): resource type is not implemented',
    );
  });

  test.each<[string, JsonObject, string]>([
    ['an unknown section', { Transform: 'AWS::Serverless', Resources: {} }, 'Transform'],
    [
      'a reference to a missing resource',
      { Resources: { A: thing({ Name: { Ref: 'Missing' } }) } },
      "'Missing'",
    ],
    [
      'an attribute that the engine does not have',
      { Resources: { A: thing(), B: thing({ Name: { 'Fn::GetAtt': ['A', 'Colour'] } }) } },
      'A.Colour',
    ],
    [
      'a circle',
      { Resources: { A: thing({ Name: { Ref: 'B' } }), B: thing({ Name: { Ref: 'A' } }) } },
      'has a circular dependency',
    ],
    [
      'a parameter without a value',
      { Parameters: { P: { Type: 'String' } }, Resources: { A: thing({ Name: { Ref: 'P' } }) } },
      "parameter 'P'",
    ],
    [
      'an unknown operator in a condition',
      { Conditions: { C: { 'Fn::Contains': [1] } }, Resources: {} },
      'Fn::Contains',
    ],
    [
      'a value that is wrong once it is resolved',
      { Resources: { A: thing(), B: thing({ Mode: { Ref: 'A' } }) } },
      'ref-A',
    ],
    [
      'a branch of Fn::If',
      {
        Conditions: { C: { 'Fn::Equals': ['a', 'a'] } },
        Resources: { A: thing({ Nested: { 'Fn::If': ['C', { Wrong: 1 }, {}] } }) },
      },
      'Nested.Wrong',
    ],
  ])('%s', async (_name, template, expected) => {
    expect((await refusal(template)).message).toContain(expected);
  });
});

describe('resolution', () => {
  test('orders resources after their references and dependencies', async () => {
    const { created } = await load({
      Resources: {
        Last: thing({ Name: { 'Fn::Sub': `\${Middle.Arn}` } }),
        Middle: thing({ Items: [{ Id: { 'Fn::Join': ['', [{ 'Fn::GetAtt': ['First', 'Arn'] }]] } }] }),
        First: thing({}, { DependsOn: ['Zero'] }),
        Zero: thing(),
      },
    });
    expect(created.map((one) => one.logicalId)).toEqual(['Zero', 'First', 'Middle', 'Last']);
  });

  test('handles intrinsic functions, conditions, parameters, mappings and outputs', async () => {
    const { stack, created } = await load({
      Parameters: {
        BootstrapVersion: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/cdk' },
        Names: { Type: 'CommaDelimitedList', Default: 'x,y' },
      },
      Rules: { CheckBootstrapVersion: {} },
      Mappings: { M: { 'us-east-1': { k: 'mapped' } } },
      Conditions: {
        Here: {
          'Fn::And': [
            { 'Fn::Equals': [{ Ref: 'AWS::Region' }, 'us-east-1'] },
            { 'Fn::Not': [{ Condition: 'Never' }] },
          ],
        },
        Never: { 'Fn::Or': [{ 'Fn::Equals': ['a', 'b'] }] },
      },
      Resources: {
        A: thing({
          Name: { 'Fn::Select': [1, { 'Fn::Split': ['-', 'a-b-c'] }] },
          Mode: { Ref: 'AWS::NoValue' },
          Tags: {
            join: {
              'Fn::Join': [
                '/',
                [{ Ref: 'AWS::Partition' }, { Ref: 'AWS::AccountId' }, { Ref: 'AWS::URLSuffix' }],
              ],
            },
            sub: { 'Fn::Sub': [`\${AWS::StackName}:\${Own}:\${!Kept}`, { Own: { Ref: 'AWS::Region' } }] },
            map: { 'Fn::FindInMap': ['M', { Ref: 'AWS::Region' }, 'k'] },
            base64: { 'Fn::Base64': 'hi' },
            if: { 'Fn::If': ['Here', 'yes', 'no'] },
            list: { 'Fn::Select': [0, { Ref: 'Names' }] },
          },
        }),
        Absent: thing({}, { Condition: 'Never' }),
      },
      Outputs: { Out: { Value: { 'Fn::GetAtt': 'A.Arn' } }, NotOut: { Value: 'x', Condition: 'Never' } },
    });
    expect(created.map((one) => one.properties)).toEqual([
      {
        Name: 'b',
        Tags: {
          join: 'aws/000000000000/amazonaws.com',
          sub: `S:us-east-1:\${Kept}`,
          map: 'mapped',
          base64: 'aGk=',
          if: 'yes',
          list: 'x',
        },
      },
    ]);
    expect(stack.outputs).toEqual({ Out: 'arn:A' });
  });

  test('does not pass ignored properties to the engine, regardless of their references', async () => {
    const { created } = await load({
      Resources: {
        A: thing({
          Role: { 'Fn::GetAtt': ['B', 'NoSuchAttribute'] },
          Nested: { Ignored: { any: 1 }, Inner: { Kept: 1 } },
        }),
        B: thing(),
      },
    });
    expect(created.find((one) => one.logicalId === 'A')?.properties).toEqual({
      Nested: { Inner: { Kept: 1 } },
    });
  });
});
