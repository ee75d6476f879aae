/** MD5 sums with which SDKs check sent messages. Source: SQS Developer Guide, "Calculating the MD5 message digest". */
import { createHash } from 'node:crypto';

export interface MessageAttribute {
  readonly DataType: string;
  readonly StringValue?: string;
  readonly BinaryValue?: string;
}
export type MessageAttributes = Readonly<Record<string, MessageAttribute>>;

export const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

const field = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

export const attributesMd5 = (attributes: MessageAttributes): string => {
  const hash = createHash('md5');
  for (const name of Object.keys(attributes).sort()) {
    const { DataType, StringValue, BinaryValue } = attributes[name] ?? { DataType: 'String' };
    const binary = DataType.startsWith('Binary');
    const value = binary ? Buffer.from(BinaryValue ?? '', 'base64') : Buffer.from(StringValue ?? '');
    hash.update(field(Buffer.from(name))).update(field(Buffer.from(DataType)));
    hash.update(Buffer.from([binary ? 2 : 1])).update(field(value));
  }
  return hash.digest('hex');
};
