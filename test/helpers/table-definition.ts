import type { CreateTableCommandInput, Projection } from '@aws-sdk/client-dynamodb';
import { TABLE } from '../../core/contract/deployment.ts';

const keySchema = (partition: string, sort: string): CreateTableCommandInput['KeySchema'] => [
  { AttributeName: partition, KeyType: 'HASH' },
  { AttributeName: sort, KeyType: 'RANGE' },
];

const projectionOf = (attributes: readonly string[]): Projection =>
  attributes.length === 0
    ? { ProjectionType: 'KEYS_ONLY' }
    : { NonKeyAttributes: [...attributes], ProjectionType: 'INCLUDE' };

/**
 * The stack's table definition, for an engine that tests start. test/cdk compares it with the synthesized template, so
 * that the two cannot differ.
 */
export const tableDefinition = (TableName: string) => {
  const names = [
    TABLE.partitionKey,
    TABLE.sortKey,
    ...TABLE.indexes.flatMap((index) => [`${index}pk`, `${index}sk`]),
  ];
  return {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: names.map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: keySchema(TABLE.partitionKey, TABLE.sortKey),
    GlobalSecondaryIndexes: TABLE.indexes.map((IndexName) => ({
      IndexName,
      KeySchema: keySchema(`${IndexName}pk`, `${IndexName}sk`),
      Projection: projectionOf(TABLE.projected[IndexName]),
    })),
  } satisfies CreateTableCommandInput;
};
