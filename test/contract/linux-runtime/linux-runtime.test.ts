import { describe, jest, test } from '@jest/globals';
import {
  canHostLinux,
  linuxHostFolder,
  openTestHost,
  removeAllContainers,
} from '../../helpers/linux-host.ts';
import { runtimeContract } from '../agent/runtime-contract.ts';

/** A utility VM may boot under emulation on a busy machine. */
jest.setTimeout(120_000);

if (await canHostLinux())
  runtimeContract('Linux', async () => {
    const runtime = await openTestHost(linuxHostFolder('contract'));
    return {
      runtime,
      image: 'mini',
      longRunning: ['sleep', '600'],
      exitsWith3: ['sh', '-c', 'exit 3'],
      stubborn: ['sh', '-c', "trap '' TERM; sleep 600"],
      dispose: async () => {
        await removeAllContainers(runtime);
        await runtime.shutDown();
      },
    };
  });
else describe('the runtime Linux', () => test.todo('cannot run on this machine'));
