import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TENANT_CLAIM_FUNCTION } from '../../../core/contract/tenant-claim.ts';
import { FUNCTION_NAMES } from '../../../lib/function-specs.ts';

/**
 * For tests of the template, in which what the functions do plays no part: a folder of bundled functions that do
 * nothing. Always the same, so that assets have the same hashes.
 */
export const trivialFunctions = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'bulkhead-trivial-functions-'));
  for (const name of [...FUNCTION_NAMES, TENANT_CLAIM_FUNCTION]) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'index.mjs'), `export const handler = async () => '${name}';\n`);
  }
  return directory;
};
