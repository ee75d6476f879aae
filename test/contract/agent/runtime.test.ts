import { systemClock } from '../../../agent/clock.ts';
import { simulatedHost } from '../../helpers/simulated-host.ts';
import { besideMainContract } from './beside-main-contract.ts';
import { runtimeContract } from './runtime-contract.ts';
import { usersContract } from './users-contract.ts';

runtimeContract('simulated as Linux', async () => ({
  ...simulatedHost('linux', systemClock),
  image: 'mini',
  longRunning: ['sleep', '600'],
  exitsWith3: ['sh', '-c', 'exit 3'],
  stubborn: ['sh', '-c', "trap '' TERM; sleep 600"],
  dispose: async () => undefined,
}));

runtimeContract('simulated as a Nano Server', async () => ({
  ...simulatedHost('nano-server', systemClock),
  image: 'nanoserver',
  longRunning: ['cmd'],
  exitsWith3: ['cmd.exe', '/c', 'exit 3'],
  stubborn: ['powershell', '-Command', "trap '' TERM; Start-Sleep 600"],
  dispose: async () => undefined,
}));

besideMainContract('simulated', async () => {
  const { runtime } = simulatedHost('linux', systemClock);
  return { runtime, dispose: async () => runtime.close() };
});

usersContract('simulated', async () => {
  const { runtime } = simulatedHost('linux', systemClock);
  return { runtime, dispose: async () => runtime.close() };
});
