import { LONG_ANSWER_TIMEOUT_MS } from '../channel/guest-channel.ts';
import { type GuestProcess, SpawnError } from '../channel/guest-process.ts';
import { MASK_FIELDS } from './guest-fields.ts';
import type { UtilityVm } from './utility-vm.ts';

const SOME_NETWORK = {
  mac: '02:00:00:00:00:01',
  address: '192.0.2.2',
  gateway: '192.0.2.1',
  resolver: '',
};

/** Resolves with the first output. */
const drain = (process: GuestProcess): Promise<void> =>
  new Promise((resolve) =>
    process.onOutput((_, data) => {
      process.consumed(data.length);
      resolve();
    }),
  );

/** Ignores that an image has no shell, because everything before the shell has then been rehearsed. */
const unlessMissing = (error: unknown): void => {
  if (!(error instanceof SpawnError)) throw error;
};

const runShell = async (vm: UtilityVm): Promise<void> => {
  const main = vm.startMain([
    ['arg', '/bin/sh'],
    ['arg', '-c'],
    ['arg', 'echo started; read wait'],
    ['hostname', 'rehearsal'],
    ['memory', String(64 * 1024 * 1024)],
    ['pids', '64'],
    ...MASK_FIELDS,
  ]);
  await Promise.race([drain(main), main.exited]);
  const beside = vm.startProcess([['arg', '/bin/true']]);
  void drain(beside);
  await beside.exited.catch(unlessMissing);
  main.endInput();
  await main.exited;
};

/**
 * Runs a complete start, with the image on the first disk, or a placeholder if there is none, and a placeholder on the second. A later start of a container
 * is then faster, because caches are filled and, under emulation, the code is translated. The image stays mounted. Only for a
 * VM without a container.
 * @throws the error of a failed start
 */
export const rehearse = async (vm: UtilityVm): Promise<void> => {
  await vm.wake();
  await vm.attachPlaceholders();
  await vm.configureNetwork(SOME_NETWORK);
  await vm.mountLayers();
  await runShell(vm).catch(unlessMissing);
  await vm.unmountLayers({ keepImage: true });
  await vm.detachPlaceholder();
  await vm.removeNetwork();
  await vm.ask('rehearsed', 'The rehearsal did not end', [], LONG_ANSWER_TIMEOUT_MS);
};
