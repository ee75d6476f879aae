import { describe, jest, test } from '@jest/globals';
import {
  canHostLinux,
  linuxHostFolder,
  openTestHost,
  removeAllContainers,
} from '../../helpers/linux-host.ts';
import { usersContract } from '../agent/users-contract.ts';

/** A utility VM may boot under emulation on a busy machine. */
jest.setTimeout(120_000);

if (await canHostLinux())
  usersContract('Linux', async () => {
    const runtime = await openTestHost(linuxHostFolder('users'));
    return {
      runtime,
      dispose: async () => {
        await removeAllContainers(runtime);
        await runtime.shutDown();
      },
    };
  });
else describe('users of processes: Linux', () => test.todo('cannot run on this machine'));
