import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { type AslCase, checkAslCase } from '../../../conformance/asl-case.ts';
import { totals } from '../../../conformance/report.ts';

const file = new URL('../../../conformance/asl/cases.json', import.meta.url);
const cases = JSON.parse(readFileSync(file, 'utf8')) as AslCase[];

describe('executions recorded from Step Functions', () => {
  test('all pass except one that writes to S3, which is refused by name', async () => {
    const results = await Promise.all(cases.map(checkAslCase));
    expect(results.filter((result) => result.outcome === 'wrong')).toEqual([]);
    expect(results.filter((result) => result.outcome === 'refused')).toEqual([
      {
        name: 'test_map_state_result_writer',
        outcome: 'refused',
        detail: expect.stringContaining("Field 'ResultWriter' is not supported"),
      },
    ]);
    expect(totals(results)).toEqual({ total: 121, pass: 120, refused: 1, wrong: 0 });
  });
});
