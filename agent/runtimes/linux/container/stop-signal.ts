import { constants } from 'node:os';
import { SIGNALS } from '../../../../core/contract/session.ts';

const MAX_SIGNAL = 64;
/** The range of real-time signals as the C library numbers them. */
const REAL_TIME = { MIN: 34, MAX: 64 } as const;

const numberOf = (text: string): number => {
  if (/^\d+$/.test(text)) return Number(text);
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [, bound, offset = '0'] = /^RT(MIN|MAX)([+-]\d+)?$/.exec(name) ?? [];
  if (bound === 'MIN' || bound === 'MAX') return REAL_TIME[bound] + Number(offset);
  return (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`] ?? 0;
};

/** The number of the stop signal in an image's configuration. As in Docker, one that does not exist is SIGTERM. */
export const stopSignalOf = (configured: string): number => {
  const number = numberOf(configured);
  return number >= 1 && number <= MAX_SIGNAL ? number : SIGNALS.TERM;
};
