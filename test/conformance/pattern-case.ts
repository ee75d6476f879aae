import { compilePattern, InvalidPatternError } from '../../local/events/patterns/index.ts';
import type { CaseResult } from './report.ts';

export interface PatternCase {
  name: string;
  pattern: unknown;
  event: unknown;
  expected: 'match' | 'no-match' | 'invalid-pattern';
}

function actual(recorded: PatternCase): PatternCase['expected'] {
  try {
    return compilePattern(recorded.pattern)(recorded.event) ? 'match' : 'no-match';
  } catch (error) {
    if (error instanceof InvalidPatternError) return 'invalid-pattern';
    throw error;
  }
}

export function checkPatternCase(recorded: PatternCase): CaseResult {
  const got = actual(recorded);
  return {
    name: recorded.name,
    outcome: got === recorded.expected ? 'pass' : 'wrong',
    detail: got === recorded.expected ? '' : `expected ${recorded.expected}, got ${got}`,
  };
}
