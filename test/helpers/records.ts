import type { ContainerState } from '../../core/contract/container.ts';
import type { HostFacts } from '../../core/contract/host.ts';
import { DEFAULT_NETWORK } from '../../core/contract/network.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { ContainerRecord, ContainerView } from '../../store/containers.ts';
import type { HostRecord } from '../../store/hosts.ts';
import type { ImageRecord } from '../../store/images.ts';
import type { OperationRecord, OperationView } from '../../store/operations.ts';

/** Records in the form of the table, as a starting point for tests. */

export const TENANT = 'acme';
export const AT = '2026-11-24T09:00:00.000Z';

/** Distinct ids that are easy to tell apart. */
export const testId = (number: number): string =>
  `00000000-0000-4000-9000-${String(number).padStart(12, '0')}`;

export const imageRecord = (name: string, tenant = TENANT): ImageRecord => ({
  tenant,
  revision: 1,
  actor: 'ann',
  view: {
    name,
    version: '10.0.14393',
    os: 'windows',
    osBuild: 14393,
    architecture: 'amd64',
    source: 'registry',
    digest: `sha256:${'0'.repeat(64)}`,
    createdAt: AT,
  },
});

interface ContainerGiven {
  readonly tenant?: string;
  readonly number?: number;
  readonly view?: Partial<ContainerView>;
  readonly rest?: Partial<Omit<ContainerRecord, 'view' | 'tenant' | 'id'>>;
}

export const containerRecord = (state: ContainerState, given: ContainerGiven = {}): ContainerRecord => {
  const { tenant = TENANT, number = 1, view, rest } = given;
  return {
    tenant,
    id: testId(number),
    revision: 3,
    epoch: 1,
    reservation: null,
    heldDiskMB: 0,
    tombstone: null,
    ranAs: [],
    stateBefore: null,
    process: state === 'Running' ? { startedAt: AT, workerProcess: null } : null,
    actor: 'ann',
    ...rest,
    view: {
      name: `container-${number}`,
      spec: {
        image: 'NanoServer',
        switchName: 'NAT',
        ...DEFAULT_NETWORK,
        resources: { memoryMB: 128, cpus: 1, diskMB: 256 },
        restartPolicy: { name: 'no' },
      },
      runtimeType: 'Default' as RuntimeType,
      state,
      hostId: testId(900),
      labels: {},
      exitCode: null,
      startedAt: state === 'Running' ? AT : null,
      activeOperationId: null,
      lastError: null,
      networkPending: false,
      createdAt: AT,
      updatedAt: AT,
      ...view,
    },
  };
};

export const operationRecord = (
  number: number,
  view: Partial<OperationView> = {},
  rest: Partial<Omit<OperationRecord, 'view' | 'id'>> = {},
): OperationRecord => ({
  tenant: TENANT,
  id: testId(number),
  revision: 2,
  epoch: 1,
  parameters: {},
  machine: 'provision-process',
  after: null,
  placeToken: null,
  actor: 'ann',
  ...rest,
  view: {
    kind: 'start',
    containerId: testId(1),
    imageName: null,
    hostId: testId(900),
    state: 'Running',
    reason: null,
    steps: [],
    error: null,
    requestedBy: 'ann',
    deadline: '2026-11-24T09:15:00.000Z',
    createdAt: AT,
    updatedAt: AT,
    endedAt: null,
    ...view,
  },
});

export const hostFacts = (facts: Partial<HostFacts> = {}): HostFacts => ({
  os: { family: 'windows', sku: 'NanoServer', version: '10.0.14393', build: 14393 },
  architecture: 'amd64',
  kernel: '10.0.14393',
  hypervisor: 'hyperv',
  capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
  switches: ['NAT', 'Virtual Switch'],
  capacity: { memoryMB: 8192, cpus: 8, diskMB: 1_048_576 },
  utilityVmOverheadMB: 128,
  ...facts,
});

export const hostRecord = (number = 900, rest: Partial<HostRecord> = {}): HostRecord => {
  const facts = hostFacts();
  return {
    tenant: TENANT,
    id: testId(number),
    revision: 1,
    actor: 'ann',
    free: facts.capacity,
    publicKey: 'x'.repeat(43),
    ...rest,
    view: {
      name: `host-${number}`,
      facts,
      labels: {},
      schedulable: true,
      state: 'Ready',
      agentVersion: '1.0.0',
      ...rest.view,
    },
  };
};
