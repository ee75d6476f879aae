/** DynamoDB's JSON protocol over a kept-alive connection, for the embedded cloud's own calls. */
import { Agent, request } from 'node:http';
import { ServiceError } from '../errors.ts';
import { asRecord, asString, type Json, type JsonObject } from '../template/json.ts';

export interface DynamoClient {
  /**
   * @param operation such as `DescribeTable`; of DynamoDB Streams such as `Streams.GetRecords`.
   * @throws ServiceError with DynamoDB's code, or the error of the connection.
   */
  call(operation: string, input: JsonObject): Promise<JsonObject>;
  close(): void;
}

/** The process does not check signatures, but reads the region and the key from this header. */
export const unsignedAuthorization =
  'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=local';

const errorOf = (status: number, body: string): ServiceError => {
  let answer: JsonObject = {};
  try {
    answer = asRecord(JSON.parse(body) as Json);
  } catch {
    // Not JSON: use the status only.
  }
  const code = asString(answer.__type)?.split('#').at(-1) ?? 'InternalServerError';
  return new ServiceError(
    code,
    asString(answer.message) ?? asString(answer.Message) ?? body.slice(0, 200),
    status,
  );
};

export const createDynamoClient = (endpoint: string): DynamoClient => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const url = new URL(endpoint);
  const call = (operation: string, input: JsonObject): Promise<JsonObject> => {
    const [service, name] = operation.startsWith('Streams.')
      ? ['DynamoDBStreams_20120810', operation.slice('Streams.'.length)]
      : ['DynamoDB_20120810', operation];
    const body = JSON.stringify(input);
    return new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          method: 'POST',
          agent,
          headers: {
            'content-type': 'application/x-amz-json-1.0',
            'content-length': Buffer.byteLength(body),
            'x-amz-target': `${service}.${name}`,
            'x-amz-date': '20260101T000000Z',
            authorization: unsignedAuthorization,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            if (response.statusCode !== 200) reject(errorOf(response.statusCode ?? 500, text));
            else resolve(asRecord(JSON.parse(text) as Json));
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  };
  return { call, close: () => agent.destroy() };
};
