import { createHash } from 'node:crypto';
import type { Capacity, HostFacts } from '../../../core/contract/host.ts';
import type { ImageFacts } from '../../../core/contract/image.ts';

/** Machines that can be simulated. */
export const SIMULATED_KINDS = ['nano-server', 'server-core', 'linux'] as const;
export type SimulatedKind = (typeof SIMULATED_KINDS)[number];

export interface SimulatedMachine {
  readonly facts: HostFacts;
  /** Images that a new machine has. */
  readonly images: readonly ImageFacts[];
  /** The main process of a container without a command. */
  readonly defaultCommand: readonly string[];
}

export const DEFAULT_CAPACITY: Capacity = { memoryMB: 16_384, cpus: 64, diskMB: 1_048_576 };
const UTILITY_VM_OVERHEAD_MB = 64;
const WINDOWS_BUILD = 14_393;
const SWITCHES = ['NAT', 'Virtual Switch'];

/** The digest of an image without content. It is computed from the description, so that it is the same on every machine. */
export const simulatedDigest = (description: string): string =>
  `sha256:${createHash('sha256').update(`bulkhead simulated image: ${description}`).digest('hex')}`;

const windowsImage = (name: string): ImageFacts => ({
  name,
  version: `10.0.${WINDOWS_BUILD}`,
  os: 'windows',
  osBuild: WINDOWS_BUILD,
  architecture: 'amd64',
  source: 'simulated',
  digest: simulatedDigest(`${name} 10.0.${WINDOWS_BUILD}`),
});

/** On Windows only a Nano Server converts a container's runtime type (preview documentation, 2016). */
const windows = (
  sku: string,
  runtimeConversion: 'inPlace' | 'none',
  capacity: Capacity,
): SimulatedMachine => ({
  facts: {
    os: { family: 'windows', sku, version: `10.0.${WINDOWS_BUILD}`, build: WINDOWS_BUILD },
    architecture: 'amd64',
    kernel: `10.0.${WINDOWS_BUILD} (simulated Windows Server 2016 ${sku})`,
    hypervisor: 'simulated',
    capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion },
    switches: SWITCHES,
    capacity,
    utilityVmOverheadMB: UTILITY_VM_OVERHEAD_MB,
  },
  images: [windowsImage('nanoserver'), windowsImage('windowsservercore')],
  defaultCommand: ['cmd'],
});

const linux = (capacity: Capacity): SimulatedMachine => ({
  facts: {
    os: { family: 'linux', sku: 'debian', version: '12', build: 0 },
    architecture: 'amd64',
    kernel: 'Linux 6.1.0 (simulated)',
    hypervisor: 'simulated',
    capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
    switches: SWITCHES,
    capacity,
    utilityVmOverheadMB: UTILITY_VM_OVERHEAD_MB,
  },
  images: [
    {
      name: 'mini',
      version: '1',
      os: 'linux',
      osBuild: 0,
      architecture: 'amd64',
      source: 'simulated',
      digest: simulatedDigest('mini 1'),
    },
  ],
  defaultCommand: ['sh'],
});

const machineOf = (kind: SimulatedKind, capacity: Capacity): SimulatedMachine => {
  if (kind === 'nano-server') return windows('NanoServer', 'inPlace', capacity);
  if (kind === 'server-core') return windows('ServerCore', 'none', capacity);
  return linux(capacity);
};

export const simulatedMachine = (
  kind: SimulatedKind,
  capacity: Capacity = DEFAULT_CAPACITY,
  networkCeiling: readonly string[] = [],
): SimulatedMachine => {
  const machine = machineOf(kind, capacity);
  return { ...machine, facts: { ...machine.facts, networkCeiling: [...networkCeiling] } };
};
