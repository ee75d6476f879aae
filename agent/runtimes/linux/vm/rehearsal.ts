import type { GuestProcess } from '../channel/guest-process.ts';
import type { UtilityVm } from './utility-vm.ts';

/** Resolves with the first output. */
const drain = (process: GuestProcess): Promise<void> =>
  new Promise((resolve) =>
    process.onOutput((_, data) => {
      process.consumed(data.length);
      resolve();
    }),
  );

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
  await Promise.race([drain(main), main.exited]);
  const beside = vm.startProcess([['arg', '/bin/true']]);
  void drain(beside);
  await beside.exited;
  main.endInput();
  await main.exited;
  await vm.unmountLayers();
  await vm.ask('rehearsed', 'The rehearsal did not end');
};
