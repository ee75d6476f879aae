import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TABLE } from '../../core/contract/deployment.ts';
import { CommandError } from './errors.ts';

/** The folder in which the embedded cloud keeps the table. */
const TABLE_FOLDER = 'dynamodb';
/** Contains the format of the table's items. */
const FORMAT_FILE = 'table-format.json';

const readFormat = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Versions before the first format did not write the file.
    return undefined;
  }
};

/**
 * Checks that this version can read the table in a state folder, before anything is started: otherwise every request
 * fails later. A folder without a table gets this version's format.
 *
 * @throws CommandError `other-table-format`
 */
export const checkTableFormat = (stateDir: string): void => {
  const path = join(stateDir, FORMAT_FILE);
  if (!existsSync(join(stateDir, TABLE_FOLDER))) {
    writeFileSync(path, `${TABLE.format}\n`);
    return;
  }
  if (readFormat(path) === TABLE.format) return;
  throw new CommandError(
    'other-table-format',
    [
      `The table in ${stateDir} was written by another version of Bulkhead. Do one of these:`,
      '  - Add --reset to the command. This deletes all containers, hosts and operations in that folder.',
      '  - Add --state-dir with another folder. The old one stays as it is.',
      '  - Start the version that wrote the table.',
    ].join('\n'),
  );
};
