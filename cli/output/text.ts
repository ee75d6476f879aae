import stringWidth from 'string-width';

/**
 * Text for a terminal. Process names, command lines and reasons come from untrusted code in containers: control sequences
 * and bidirectional overrides in them must not reach the terminal.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression matches control characters to escape them
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

const escaped = (character: string): string => {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** One line with unsafe characters escaped. */
export const escapeControls = (text: string): string => text.replace(UNSAFE, escaped);

/** Width of a line in columns. */
export const textWidth = (text: string): number => stringWidth(text, { countAnsiEscapeCodes: true });

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Truncated to `width` columns with an ellipsis. */
export const truncate = (text: string, width: number): string => {
  if (textWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of GRAPHEMES.segment(text)) {
    used += textWidth(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return width <= 0 ? '' : `${kept}…`;
};

export const pad = (text: string, width: number, right = false): string => {
  const blanks = ' '.repeat(Math.max(0, width - textWidth(text)));
  return right ? blanks + text : text + blanks;
};

/** Wrapped at spaces into lines of at most `width` columns. */
export const wrap = (text: string, width: number): string[] => {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && textWidth(line) + 1 + textWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
};
