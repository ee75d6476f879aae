import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { messageOf } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { readJson, writeJson } from '../files.ts';
import { type HostMachine, templateKey } from './machine.ts';
import type { Accelerator, VmShape } from './qemu-arguments.ts';
import { UtilityVm } from './utility-vm.ts';
import { launchWorker, removeWorker, workerErrors } from './worker.ts';

const KVM_TIMEOUT_MS = 5_000;
const PROBE_RAM_MB = 192;
const AnswerSchema = z.strictObject({
  key: z.string(),
  accelerator: z.enum(['kvm', 'tcg']),
  because: z.string(),
});

/**
 * Determines the accelerator of this machine by booting a utility VM, because KVM may not work even if /dev/kvm can be opened.
 * The result is stored until machine, QEMU or kernel change.
 */
export const probeAccelerator = async (deps: LinuxDeps, machine: HostMachine): Promise<Accelerator> => {
  const shape: VmShape = { ramMB: PROBE_RAM_MB, cpus: 1, accelerator: 'kvm' };
  const key = templateKey(machine, deps.artifacts, shape);
  const path = join(deps.layout.state, 'accelerator.json');
  const known = await readJson(path, AnswerSchema);
  if (known?.key === key) return known.accelerator;
  const because = await tryKvm(deps, machine, shape);
  const accelerator = because === null ? 'kvm' : 'tcg';
  await writeJson(path, { key, accelerator, because: because ?? 'a utility VM booted' });
  deps.log.info('determined the accelerator of utility VMs', { accelerator, because });
  return accelerator;
};

/** Returns the reason why KVM does not work; null if it works. */
const tryKvm = async (deps: LinuxDeps, machine: HostMachine, shape: VmShape): Promise<string | null> => {
  if (!existsSync('/dev/kvm')) return 'there is no /dev/kvm';
  const vmId = deps.newId();
  try {
    const start = { kind: 'boot', tscKhz: machine.tscKhz } as const;
    const worker = await launchWorker(deps, { vmId, containerId: null, shape, start });
    const vm = await UtilityVm.attach(deps, worker);
    try {
      await vm.connectGuest('boot', KVM_TIMEOUT_MS);
    } finally {
      vm.close();
    }
    return null;
  } catch (error) {
    return (await workerErrors(deps, vmId)) || (messageOf(error).split('\n')[0] ?? '');
  } finally {
    await removeWorker(deps, vmId);
  }
};
