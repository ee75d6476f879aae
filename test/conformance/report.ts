export interface CaseResult {
  name: string;
  /** `refused`: the definition was not run, because it needs features that are not implemented. */
  outcome: 'pass' | 'refused' | 'wrong';
  detail: string;
}

export interface Totals {
  total: number;
  pass: number;
  refused: number;
  wrong: number;
}

export function totals(results: CaseResult[]): Totals {
  const count = (outcome: CaseResult['outcome']) => results.filter((r) => r.outcome === outcome).length;
  return { total: results.length, pass: count('pass'), refused: count('refused'), wrong: count('wrong') };
}

/** One line of JSON per case, and one with totals. */
export function reportLines(results: CaseResult[]): string {
  return [...results, totals(results)].map((line) => `${JSON.stringify(line)}\n`).join('');
}
