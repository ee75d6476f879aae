/** The form in which names of images and switches are compared, because their case is ignored. */
export const caseInsensitiveKey = (name: string): string => name.toLowerCase();

export const DEFAULT_SWITCH = 'NAT';

const ADJECTIVES = [
  'brisk',
  'calm',
  'clear',
  'dry',
  'even',
  'firm',
  'keen',
  'level',
  'quiet',
  'steady',
  'stout',
  'trim',
];
const NOUNS = [
  'anchor',
  'beam',
  'bilge',
  'cabin',
  'deck',
  'frame',
  'hatch',
  'hull',
  'keel',
  'mast',
  'rib',
  'stern',
];

/** A generated container name: readable, and unique by 32 bits of the id. */
export const generatedName = (id: string): string => {
  const bytes = [0, 2].map((at) => Number.parseInt(id.slice(at, at + 2), 16));
  const pick = (words: readonly string[], byte = 0) => words[byte % words.length] ?? '';
  return `${pick(ADJECTIVES, bytes[0])}-${pick(NOUNS, bytes[1])}-${id.slice(0, 8)}`;
};
