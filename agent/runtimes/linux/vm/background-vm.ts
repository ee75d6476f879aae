import type { LinuxDeps } from '../deps.ts';
import { UtilityVm } from './utility-vm.ts';
import { type LaunchOptions, launchWorker, type Placeholders, removeWorker } from './worker.ts';

/**
 * Launches a VM that no container waits for, and does something with it. It stays if that succeeds; it goes, with all
 * that is its own, if it fails or is given up, and then this ends soon: whatever waits for a VM rejects with its end.
 */
export const withBackgroundVm = async <T>(
  deps: LinuxDeps,
  placeholders: Placeholders,
  options: LaunchOptions,
  { signal, use }: { signal: AbortSignal; use: (vm: UtilityVm) => Promise<T> },
): Promise<T> => {
  signal.throwIfAborted();
  const worker = await launchWorker(deps, placeholders, options);
  const giveUp = () => void removeWorker(deps, worker.vmId);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    signal.throwIfAborted();
    const result = await use(await UtilityVm.attach(deps, worker));
    signal.throwIfAborted();
    return result;
  } catch (error) {
    await removeWorker(deps, worker.vmId);
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
};
