import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { FUNCTION_NAMES, FUNCTION_SPECS } from '../../lib/function-specs.ts';
import { callsOf } from './helpers/calls-of.ts';

const entryOf = (name: string) => fileURLToPath(new URL(`../../functions/${name}/index.ts`, import.meta.url));

/**
 * IAM is not enforced on one machine. A missing permission would be detected only on AWS, and a superfluous one
 * nowhere. So the rows of `lib/function-specs.ts` must match the calls in the code.
 */
describe.each(FUNCTION_NAMES)('%s', (name) => {
  test('has exactly the permissions for its calls', () => {
    const { table, indexes, answersTasks, connections, publishesEvents, managesRules, starts } =
      FUNCTION_SPECS[name];
    expect({
      table: [...table].sort(),
      indexes: [...indexes].sort(),
      answersTasks: [...answersTasks].sort(),
      connections: [...connections].sort(),
      publishesEvents,
      managesRules,
      startsExecutions: starts.length > 0,
    }).toEqual(callsOf(entryOf(name)));
  });
});
