import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { HostFacts } from '../../../core/contract/host.ts';
import { MIB } from '../../units.ts';
import type { DiskShares } from './disk-space.ts';
import { NAT } from './network/nat-switch.ts';
import { templateLimits, templateReserveMB } from './vm/kept-templates.ts';
import { type Accelerator, GUEST_OVERHEAD_MB, WORKER_OVERHEAD_MB } from './vm/qemu-arguments.ts';

/** Memory for the operating system and the agent, in MiB. */
const HOST_RESERVE_MB = 512;
/** How many times each processor can be reserved. */
const CPU_OVERCOMMIT = 4;
const MACHINE_MEMORY_MB = Math.floor(totalmem() / MIB);
export const TEMPLATE_LIMITS = templateLimits(MACHINE_MEMORY_MB);
const UTILITY_VM_OVERHEAD_MB = WORKER_OVERHEAD_MB + GUEST_OVERHEAD_MB;

/** The options that determine the host's capacity and network. */
interface HostShape {
  readonly poolSize: number;
  readonly poolResources: { readonly memoryMB: number; readonly cpus: number };
  readonly templates?: boolean;
  readonly allowPrivate?: readonly string[];
}

const readOs = (): HostFacts['os'] => {
  const release = readFileSync('/etc/os-release', 'utf8');
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(release)?.[1] ?? '';
  return { family: 'linux', sku: value('ID') || 'linux', version: value('VERSION_ID') || '0', build: 0 };
};

/** The facts that a host reports: its system, and its capacity for containers. */
export const describeHost = (
  accelerator: Accelerator,
  runtimeTypes: HostFacts['capabilities']['runtimeTypes'],
  options: HostShape,
  disk: DiskShares,
): HostFacts => {
  const { poolSize, poolResources, allowPrivate } = options;
  const templatesMB = options.templates === false ? 0 : templateReserveMB(TEMPLATE_LIMITS);
  const pooledMB = poolSize * (poolResources.memoryMB + UTILITY_VM_OVERHEAD_MB);
  return {
    os: readOs(),
    architecture: 'amd64',
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    hypervisor: accelerator,
    capabilities: { runtimeTypes, runtimeConversion: 'inPlace' },
    switches: [NAT],
    capacity: {
      memoryMB: Math.max(0, MACHINE_MEMORY_MB - HOST_RESERVE_MB - pooledMB - templatesMB),
      cpus: availableParallelism() * CPU_OVERCOMMIT,
      diskMB: disk.containersMB,
    },
    utilityVmOverheadMB: UTILITY_VM_OVERHEAD_MB,
    networkCeiling: [...(allowPrivate ?? [])],
  };
};
