import { systemClock } from '../../../agent/clock.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';
import { besideMainContract } from './beside-main-contract.ts';
import { runtimeContract } from './runtime-contract.ts';
import { usersContract } from './users-contract.ts';

const open = (kind: 'linux' | 'nano-server') => {
  const host = simulatedHost(kind, systemClock);
  return { ...host, dispose: async () => host.runtime.close() };
};

runtimeContract('simulated as Linux', async () => ({
  ...open('linux'),
  image: 'mini',
  longRunning: ['sleep', '600'],
  exitsWith3: ['sh', '-c', 'exit 3'],
  stubborn: ['sh', '-c', "trap '' TERM; sleep 600"],
}));

runtimeContract('simulated as a Nano Server', async () => ({
  ...open('nano-server'),
  image: 'nanoserver',
  longRunning: ['cmd'],
  exitsWith3: ['cmd.exe', '/c', 'exit 3'],
  stubborn: ['powershell', '-Command', "trap '' TERM; Start-Sleep 600"],
}));

besideMainContract('simulated', async () => open('linux'));

usersContract('simulated', async () => open('linux'));
