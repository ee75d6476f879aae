import type { Phrase } from './phrase-table.ts';

export interface Finding {
  /** Counted from 1. */
  readonly line: number;
  readonly phrase: string;
  readonly instead: string;
}

/** A single word in quotes, or a field of a passwd entry, is a name and not prose. */
const NAME_BEFORE = /(?:['"`“‘]|:)$/;
const NAME_AFTER = /^(?:['"`”’]|:\S)/;

/** The refused phrases in a text, by line. */
export const findPhrases = (text: string, phrases: readonly Phrase[]): readonly Finding[] =>
  phrases
    .flatMap(({ text: phrase, pattern, instead }) =>
      [...text.matchAll(pattern)]
        .filter(({ index, 0: match }) => !isName(text, index, index + match.length))
        .map(({ index }) => ({ line: lineAt(text, index), phrase, instead })),
    )
    .sort((one, other) => one.line - other.line);

const isName = (text: string, start: number, end: number): boolean =>
  NAME_AFTER.test(text.slice(end, end + 2)) &&
  (NAME_BEFORE.test(text.slice(Math.max(0, start - 1), start)) || /^:\S/.test(text.slice(end, end + 2)));

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;
