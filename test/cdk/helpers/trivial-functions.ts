import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TENANT_CLAIM_FUNCTION } from '../../../core/contract/tenant-claim.ts';
import { FUNCTION_NAMES } from '../../../lib/function-specs.ts';

/**
 * A folder of bundled functions that do nothing, for tests of the template that do not depend on the functions' code.
 * The code is always the same, so that assets have the same hashes.
 */
export const trivialFunctions = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'bulkhead-trivial-functions-'));
  for (const name of [...FUNCTION_NAMES, TENANT_CLAIM_FUNCTION]) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'index.mjs'), `export const handler = async () => '${name}';\n`);
  }
  return directory;
};
