import type { GuestProcess } from '../channel/guest-process.ts';
import type { UtilityVm } from './utility-vm.ts';

const drain = (process: GuestProcess): void => {
  for (const output of ['stdout', 'stderr'] as const)
    process.on(output, (data) => process.consumed(data.length));
};

/**
 * Runs a whole start once, on the placeholder disks: what a VM has done before it does at once the second time
 * (under emulation its code is then translated). Only for a VM that no container has.
 */
export const rehearse = async (vm: UtilityVm): Promise<void> => {
  await vm.wake();
  await vm.mountLayers();
  const main = vm.startMain([
    ['arg', '/bin/sh'],
    ['arg', '-c'],
    ['arg', 'echo started; read wait'],
    ['hostname', 'rehearsal'],
    ['memory', String(64 * 1024 * 1024)],
    ['pids', '64'],
  ]);
  const spoke = new Promise<void>((resolve) => main.once('stdout', () => resolve()));
  drain(main);
  await Promise.race([spoke, main.exited]);
  const beside = vm.startProcess([['arg', '/bin/true']]);
  drain(beside);
  await beside.exited;
  main.endInput();
  await main.exited;
  await vm.unmountLayers();
  await vm.ask('rehearsed', 'The rehearsal did not end');
};
