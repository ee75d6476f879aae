import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { checkPatternCase, type PatternCase } from '../../../conformance/pattern-case.ts';
import { totals } from '../../../conformance/report.ts';

const file = new URL('../../../conformance/event-patterns/cases.json', import.meta.url);
const results = (JSON.parse(readFileSync(file, 'utf8')) as PatternCase[]).map(checkPatternCase);

describe('patterns recorded from EventBridge', () => {
  test.each(results)('$name', ({ outcome, detail }) => {
    expect(detail).toBe('');
    expect(outcome).toBe('pass');
  });

  test('every one of them passes', () => {
    expect(totals(results)).toEqual({ total: 85, pass: 85, refused: 0, wrong: 0 });
  });
});
