import { expect, test } from '@jest/globals';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Data } from '../../lib/constructs/data.ts';
import { tableDefinition } from '../helpers/table-definition.ts';

test('the table in the tests of the store equals the stack’s table', () => {
  const stack = new Stack(new App(), 'Stack');
  new Data(stack, 'Data', { deletionProtection: false, removalPolicy: RemovalPolicy.DESTROY });
  const { TableName: _, ...definition } = tableDefinition('any');
  Template.fromStack(stack).hasResourceProperties('AWS::DynamoDB::Table', definition);
  expect(definition.GlobalSecondaryIndexes).toHaveLength(4);
});
