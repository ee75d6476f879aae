/** A table as its resource describes it: created, or compared with what an earlier run created. */
import type { ResolvedResource } from '../engine.ts';
import { EngineStartError, ServiceError } from '../errors.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';
import type { DynamoClient } from './dynamo-client.ts';

const list = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.map(asRecord) : []);

/** Compares without regard to the order of keys and of name lists. */
const canonical = (value: Json | undefined): Json => {
  if (Array.isArray(value))
    return value.map(canonical).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, canonical(value[key])]),
  );
};
const same = (left: Json | undefined, right: Json | undefined): boolean =>
  JSON.stringify(canonical(left)) === JSON.stringify(canonical(right));

const indexShape = ({ IndexName, KeySchema, Projection }: JsonObject): JsonObject => ({
  ...(IndexName !== undefined && { IndexName }),
  ...(KeySchema !== undefined && { KeySchema }),
  ...(Projection !== undefined && { Projection }),
});

const createInput = (name: string, properties: JsonObject): JsonObject => {
  const { AttributeDefinitions, KeySchema, LocalSecondaryIndexes, DeletionProtectionEnabled } = properties;
  const indexes = list(properties.GlobalSecondaryIndexes).map(indexShape);
  const viewType = asRecord(properties.StreamSpecification).StreamViewType;
  return {
    TableName: name,
    BillingMode: 'PAY_PER_REQUEST',
    ...(AttributeDefinitions !== undefined && { AttributeDefinitions }),
    ...(KeySchema !== undefined && { KeySchema }),
    ...(LocalSecondaryIndexes !== undefined && { LocalSecondaryIndexes }),
    ...(DeletionProtectionEnabled !== undefined && { DeletionProtectionEnabled }),
    ...(indexes.length > 0 && { GlobalSecondaryIndexes: indexes }),
    ...(viewType !== undefined && { StreamSpecification: { StreamEnabled: true, StreamViewType: viewType } }),
  };
};

const changed = (name: string, what: string): EngineStartError =>
  new EngineStartError(
    `table ${name}: ${what} differs from the stored table and cannot be changed; ` +
      'start with --reset to delete the stored data',
  );

/** Updates the indexes of a stored table to match the template. @throws EngineStartError */
const updateIndexes = async (
  client: DynamoClient,
  name: string,
  properties: JsonObject,
  stored: JsonObject,
) => {
  const wanted = list(properties.GlobalSecondaryIndexes).map(indexShape);
  const present = list(stored.GlobalSecondaryIndexes).map(indexShape);
  const { AttributeDefinitions = [] } = properties;
  for (const index of wanted) {
    const existing = present.find((one) => one.IndexName === index.IndexName);
    if (existing === undefined) {
      await client.call('UpdateTable', {
        TableName: name,
        AttributeDefinitions,
        GlobalSecondaryIndexUpdates: [{ Create: index }],
      });
    } else if (!same(existing, index)) throw changed(name, `index ${asString(index.IndexName)}`);
  }
  for (const { IndexName } of present) {
    if (wanted.some((one) => one.IndexName === IndexName) || IndexName === undefined) continue;
    await client.call('UpdateTable', {
      TableName: name,
      GlobalSecondaryIndexUpdates: [{ Delete: { IndexName } }],
    });
  }
};

const verify = async (client: DynamoClient, name: string, properties: JsonObject, stored: JsonObject) => {
  if (!same(properties.KeySchema, stored.KeySchema)) throw changed(name, 'the key schema');
  if (!same(properties.LocalSecondaryIndexes ?? [], list(stored.LocalSecondaryIndexes).map(indexShape))) {
    throw changed(name, 'a local secondary index');
  }
  const wanted = asRecord(properties.StreamSpecification).StreamViewType;
  if (!same(wanted, asRecord(stored.StreamSpecification).StreamViewType)) throw changed(name, 'the stream');
  await updateIndexes(client, name, properties, stored);
};

const applyTimeToLive = async (
  client: DynamoClient,
  name: string,
  specification: JsonObject,
): Promise<void> => {
  const wanted = specification.Enabled === true || specification.Enabled === 'true';
  const described = await client.call('DescribeTimeToLive', { TableName: name });
  const { TimeToLiveStatus, AttributeName } = asRecord(described.TimeToLiveDescription);
  const present = TimeToLiveStatus === 'ENABLED';
  if (present === wanted && (!wanted || AttributeName === specification.AttributeName)) return;
  await client.call('UpdateTimeToLive', {
    TableName: name,
    TimeToLiveSpecification: { ...specification, Enabled: wanted },
  });
};

const describe = async (client: DynamoClient, name: string): Promise<JsonObject | undefined> => {
  try {
    return asRecord((await client.call('DescribeTable', { TableName: name })).Table);
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'ResourceNotFoundException') return undefined;
    throw error;
  }
};

/** @throws EngineStartError if a stored table cannot be updated to match the template. */
export const ensureTable = async (
  client: DynamoClient,
  name: string,
  resource: ResolvedResource,
): Promise<void> => {
  const properties = resource.properties as JsonObject;
  const stored = await describe(client, name);
  if (stored === undefined) await client.call('CreateTable', createInput(name, properties));
  else await verify(client, name, properties, stored);
  await applyTimeToLive(client, name, asRecord(properties.TimeToLiveSpecification));
};
