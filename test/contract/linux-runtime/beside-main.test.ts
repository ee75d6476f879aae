import { describe, jest, test } from '@jest/globals';
import {
  canHostLinux,
  linuxHostFolder,
  openTestHost,
  removeAllContainers,
} from '../../helpers/linux-host.ts';
import { besideMainContract } from '../agent/beside-main-contract.ts';

/** A utility VM may boot under emulation on a busy machine. */
jest.setTimeout(120_000);

if (await canHostLinux())
  besideMainContract('Linux', async () => {
    const runtime = await openTestHost(linuxHostFolder('beside-main'));
    return {
      runtime,
      runs: async (id, commandLine) =>
        (await runtime.listProcesses(id)).some((process) => process.commandLine === commandLine),
      dispose: async () => {
        await removeAllContainers(runtime);
        await runtime.shutDown();
      },
    };
  });
else describe('sessions: Linux', () => test.todo('cannot run on this machine'));
