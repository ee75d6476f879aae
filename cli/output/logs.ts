import type { LogItem } from '../../core/contract/session.ts';

/** The raw bytes of an item, with its newline if it has one. */
export const logBytes = (item: LogItem): Uint8Array => {
  const text = item.data === undefined ? Buffer.from(item.text) : Buffer.from(item.data, 'base64');
  return item.partial === true ? text : Buffer.concat([text, Buffer.from('\n')]);
};

/** The bytes of an item, after its time if `timestamps` is set. */
export const logText = (item: LogItem, timestamps: boolean): Uint8Array =>
  timestamps ? Buffer.concat([Buffer.from(`${item.at} `), logBytes(item)]) : logBytes(item);
