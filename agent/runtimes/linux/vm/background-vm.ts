import type { LinuxDeps } from '../deps.ts';
import { UtilityVm } from './utility-vm.ts';
import { type LaunchOptions, launchWorker, removeWorker } from './worker.ts';

/** Far more than a boot and a rehearsal need under emulation on a busy machine. */
const LIMIT_MS = 90_000;

/**
 * Launches a VM that no container waits for, and uses it. The VM is kept if that succeeds. If it fails, is aborted or takes
 * too long, the VM is removed with all its resources, and pending calls on it reject.
 */
export const withBackgroundVm = async <T>(
  deps: LinuxDeps,
  options: LaunchOptions,
  { signal, use }: { signal: AbortSignal; use: (vm: UtilityVm) => Promise<T> },
): Promise<T> => {
  signal.throwIfAborted();
  const worker = await launchWorker(deps, options);
  // Removed only once, because two removals of one VM would interfere.
  let removal: Promise<void> | undefined;
  const remove = (): Promise<void> => (removal ??= removeWorker(deps, worker.vmId));
  const giveUp = () => void remove().catch(() => undefined);
  signal.addEventListener('abort', giveUp, { once: true });
  const cancelLimit = deps.clock.after(LIMIT_MS, giveUp);
  try {
    signal.throwIfAborted();
    const result = await use(await UtilityVm.attach(deps, worker));
    signal.throwIfAborted();
    return result;
  } catch (error) {
    await remove();
    throw error;
  } finally {
    cancelLimit();
    signal.removeEventListener('abort', giveUp);
  }
};
