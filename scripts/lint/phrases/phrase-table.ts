/** One refused phrase, as `docs/style.md` lists it. */
export interface Phrase {
  readonly text: string;
  readonly pattern: RegExp;
  /** What to write instead. */
  readonly instead: string;
}

/** The check cannot read the table of phrases in `docs/style.md`. The message contains the reason. */
export class PhraseTableError extends Error {
  override readonly name = 'PhraseTableError';
  readonly code = 'phrase-table-unreadable';
}

const HEADING = '## Phrases that the check refuses';

/**
 * Reads the refused phrases from the table beneath the heading "Phrases that the check refuses".
 * @param style the text of `docs/style.md`
 * @throws PhraseTableError when the heading or its table is missing, or a row has no phrase in backticks
 */
export const readPhrases = (style: string): readonly Phrase[] => {
  const [, section] = style.split(`${HEADING}\n`);
  if (section === undefined) throw new PhraseTableError(`docs/style.md has no heading "${HEADING}"`);
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2);
  if (rows.length === 0) throw new PhraseTableError(`docs/style.md has no table beneath "${HEADING}"`);
  return rows.flatMap(phrasesOf);
};

const phrasesOf = (row: string): Phrase[] => {
  const [, phrases = '', instead = ''] = row.split('|').map((cell) => cell.trim());
  const texts = [...phrases.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
  if (texts.length === 0) throw new PhraseTableError(`docs/style.md: no phrase in backticks in "${row}"`);
  return texts.map((text) => ({ text, pattern: patternOf(text), instead }));
};

/** A phrase can continue on the next line, after the marker of a comment or of Markdown. */
const GAP = String.raw`(?:[ \t]+|[ \t]*\n[ \t]*(?:\*|//|#|>|--)*[ \t]*)`;

const patternOf = (text: string): RegExp => {
  const escaped = text
    .replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll("'", "['’]")
    .replaceAll(' ', GAP);
  const start = /^\w/.test(text) ? String.raw`(?<![\w-])` : '';
  const end = /\w$/.test(text) ? String.raw`(?![\w-])` : String.raw`(?=\s|$)`;
  return new RegExp(start + escaped + end, 'gi');
};
