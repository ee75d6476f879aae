import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { FUNCTION_NAMES, FUNCTION_SPECS } from '../../lib/function-specs.ts';
import { callsOf } from './helpers/calls-of.ts';

const entryOf = (name: string) => fileURLToPath(new URL(`../../functions/${name}/index.ts`, import.meta.url));

/**
 * IAM is not enforced on one machine, so that a missing right would show in AWS only, and one too many nowhere: the
 * rows of `lib/function-specs.ts` must be what the code calls.
 */
describe.each(FUNCTION_NAMES)('%s', (name) => {
  test('is granted what it calls, and no more', () => {
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
