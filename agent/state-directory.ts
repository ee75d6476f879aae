import { join } from 'node:path';
import { EXIT_CODES, messageOf, StartupError } from './errors.ts';
import { refuseNewerRecords, upgradeRecords } from './formats/record-files.ts';
import { NewerFormatError } from './formats/record-format.ts';
import { identityFiles } from './link/identity.ts';
import type { Log } from './log.ts';
import { createLayout } from './runtimes/linux/layout.ts';
import { linuxRecordFiles } from './runtimes/linux/record-files.ts';
import { WORLD_FORMAT } from './runtimes/simulated/world.ts';
import { JOURNAL_FORMAT } from './state/journal-tables.ts';
import { refuseNewerDatabase } from './state/open-database.ts';

/** Where the parts of the agent keep their state in `--state-dir`. */
export const stateFiles = (stateDir: string) => ({
  journal: join(stateDir, 'journal.sqlite'),
  simulatedWorld: join(stateDir, 'simulated-world.sqlite'),
  linux: join(stateDir, 'linux'),
});

/**
 * Must be called before any file is opened for writing. It changes nothing.
 * @throws {StartupError} when a newer agent has worked in the state directory
 */
export const refuseNewerState = async (stateDir: string): Promise<void> => {
  const { journal, simulatedWorld, linux } = stateFiles(stateDir);
  try {
    refuseNewerDatabase(journal, JOURNAL_FORMAT);
    refuseNewerDatabase(simulatedWorld, WORLD_FORMAT);
    await refuseNewerRecords(identityFiles(stateDir));
    await refuseNewerRecords(await linuxRecordFiles(createLayout(linux)));
  } catch (error) {
    if (!(error instanceof NewerFormatError)) throw error;
    const message = `The agent cannot start: ${messageOf(error)}. ${error.suggestion}`;
    throw new StartupError(EXIT_CODES.stateUnusable, message, error);
  }
};

/** Upgrades the files that no part of the agent upgrades when it opens them. The caller holds the journal's lock. */
export const upgradeIdentity = (stateDir: string, log: Log): Promise<void> =>
  upgradeRecords(identityFiles(stateDir), log);
