import { InvalidPatternError } from './invalid-pattern-error.ts';

/** One literal UTF-16 unit, or the star that matches any run of them. */
type Token = string | typeof STAR;
const STAR = Symbol('*');

/** EventBridge refuses a field whose wildcards can have more concurrent partial matches than this. */
const MAX_SIMULTANEOUS_PREFIXES = 10;

/**
 * Tokens of a wildcard pattern: `*` is any run of characters, `\*` and `\\` are the literal characters.
 * @throws InvalidPatternError for two stars in a row or another escape.
 */
export const parseWildcard = (pattern: string): Token[] => {
  const tokens: Token[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i);
    if (char === '\\') {
      const escaped = pattern.charAt(i + 1);
      if (escaped !== '*' && escaped !== '\\') {
        throw new InvalidPatternError(`Invalid escape character at pos ${i + 1}`);
      }
      tokens.push(escaped);
      i++;
    } else if (char === '*') {
      if (tokens.at(-1) === STAR) {
        throw new InvalidPatternError(`Consecutive wildcard characters at pos ${i + 1}`);
      }
      tokens.push(STAR);
    } else {
      tokens.push(char);
    }
  }
  return tokens;
};

/** Positions reachable without input, because a star can match nothing. */
const withEmptyStars = (tokens: Token[], positions: Iterable<number>): Set<number> => {
  const closed = new Set<number>();
  for (const position of positions) {
    closed.add(position);
    if (tokens[position] === STAR) closed.add(position + 1);
  }
  return closed;
};

const advance = (tokens: Token[], positions: Set<number>, char: string): Set<number> => {
  const next: number[] = [];
  for (const position of positions) {
    const token = tokens[position];
    const before = tokens[position - 1];
    if (before === STAR) next.push(position);
    if (token === char) next.push(position + 1);
  }
  return withEmptyStars(tokens, next);
};

/** Takes time proportional to text times pattern, so that no pattern causes exponential matching. */
export const wildcardMatches = (tokens: Token[], text: string): boolean => {
  let positions = withEmptyStars(tokens, [0]);
  for (const char of text.split('')) {
    positions = advance(tokens, positions, char);
    if (positions.size === 0) return false;
  }
  return positions.has(tokens.length);
};

/**
 * Refuses wildcards of one field when some input could match more than ten of their prefixes at once: EventBridge's
 * measure of a rule's complexity.
 * @throws InvalidPatternError
 */
export const checkWildcardComplexity = (patterns: Token[][]): void => {
  const alphabet = new Set<string>(['\u0000']);
  for (const tokens of patterns) {
    for (const token of tokens) if (typeof token === 'string') alphabet.add(token);
  }
  const start = patterns.map((tokens) => withEmptyStars(tokens, [0]));
  const pending = [start];
  const seen = new Set<string>();
  for (let state = pending.pop(); state; state = pending.pop()) {
    const size = state.reduce((sum, positions) => sum + [...positions].filter((p) => p > 0).length, 0);
    if (size > MAX_SIMULTANEOUS_PREFIXES) {
      throw new InvalidPatternError(
        'Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character',
      );
    }
    const current = state;
    for (const char of alphabet) {
      const next = current.map((positions, i) => advance(patterns[i] ?? [], positions, char));
      const key = next.map((positions) => [...positions].sort((a, b) => a - b).join(',')).join('|');
      if (seen.has(key)) continue;
      seen.add(key);
      pending.push(next);
    }
  }
};
