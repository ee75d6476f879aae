import { expect, test } from '@jest/globals';
import { templateOf } from './helpers/synthesized.ts';

/** Asset hashes change with every byte of a function, and the version with every release. */
const normalised = (template: unknown): unknown =>
  JSON.parse(
    JSON.stringify(template)
      .replace(/[0-9a-f]{64}\.zip/g, '<asset>.zip')
      .replace(/("BULKHEAD_VERSION":)"[^"]*"/g, '$1"<version>"'),
  );

test('the stack matches its snapshot', () => {
  expect(normalised(templateOf())).toMatchSnapshot();
});
