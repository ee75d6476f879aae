import type { LinuxDeps } from '../deps.ts';
import { withBackgroundVm } from './background-vm.ts';
import type { PoolKind } from './pool-demand.ts';
import { rehearse } from './rehearsal.ts';
import type { Templates } from './templates.ts';
import type { UtilityVm } from './utility-vm.ts';
import type { Placeholders } from './worker.ts';

const CLONE_TIMEOUT_MS = 30_000;

export interface PooledVmOptions {
  /** Whether code of the image is trusted. */
  readonly isTrusted: boolean;
  /** Cancels the creation, and removes the VM. */
  readonly signal: AbortSignal;
}

/** Clones a VM at low priority, and rehearses a start with the image, which stays mounted. */
export const makePooledVm = (
  deps: LinuxDeps,
  templates: Templates,
  placeholders: Placeholders,
  { shape, image }: PoolKind,
  { isTrusted, signal }: PooledVmOptions,
): Promise<UtilityVm> => {
  const launch = {
    vmId: deps.newId(),
    containerId: null,
    shape,
    start: { kind: 'clone' },
    lowPriority: true,
    placeholders,
  } as const;
  const use = async (vm: UtilityVm): Promise<UtilityVm> => {
    await vm.connectGuest('clone', CLONE_TIMEOUT_MS);
    if (!isTrusted) await vm.expectImageCode();
    await vm.attachImage(image);
    await rehearse(vm);
    return vm;
  };
  return templates.use(shape, (template) => withBackgroundVm(deps, { ...launch, template }, { signal, use }));
};
