import type { Container } from '../../../core/contract/container.ts';
import type { Host } from '../../../core/contract/host.ts';
import type { Image } from '../../../core/contract/image.ts';
import { DEFAULT_NETWORK_POLICY } from '../../../core/contract/network.ts';
import type { Operation } from '../../../core/contract/operation.ts';

export const ID = '0120f597-80d7-4e6f-ab39-d96cbd491ad0';
export const OPERATION_ID = '2f6c1d1e-3b5e-4b3c-9d49-5a1c1f0a7d11';
const AT = '2026-11-25T19:37:22.000Z';

export const containerOf = (change: Partial<Container> = {}): Container => ({
  id: ID,
  name: 'HYPVCON',
  image: 'NanoServer',
  runtimeType: 'HyperV',
  state: 'Off',
  hostId: null,
  switchName: 'NAT',
  network: DEFAULT_NETWORK_POLICY,
  networkPending: false,
  entrypoint: null,
  command: ['cmd', '/c', 'a b'],
  env: {},
  workingDir: null,
  user: null,
  tty: false,
  stdin: true,
  labels: {},
  resources: { memoryMB: 128, cpus: 1, diskMB: 256 },
  ports: [],
  restartPolicy: { name: 'no' },
  autoRemove: false,
  exitCode: null,
  startedAt: null,
  uptimeSeconds: 0,
  lastRun: null,
  activeOperationId: null,
  lastError: null,
  revision: 3,
  createdAt: AT,
  updatedAt: AT,
  ...change,
});

export const operationOf = (change: Partial<Operation> = {}): Operation => ({
  id: OPERATION_ID,
  kind: 'start',
  containerId: ID,
  state: 'Running',
  reason: null,
  steps: [],
  error: null,
  requestedBy: 'developer',
  deadline: AT,
  createdAt: AT,
  updatedAt: AT,
  endedAt: null,
  ...change,
});

export const imageOf = (name: string, change: Partial<Image> = {}): Image => ({
  name,
  version: '1',
  os: 'linux',
  osBuild: 0,
  architecture: 'amd64',
  source: 'test',
  digest: `sha256:${'a'.repeat(64)}`,
  config: { entrypoint: [], command: ['sh'], env: ['A=b'], workingDir: '', user: '', stopSignal: '' },
  hosts: [],
  revision: 1,
  createdAt: AT,
  ...change,
});

export const hostOf = (change: Partial<Host> = {}): Host => ({
  id: ID,
  name: 'one',
  os: { family: 'linux', sku: 'debian', version: '12', build: 0 },
  architecture: 'amd64',
  kernel: '6',
  hypervisor: 'kvm',
  capabilities: { runtimeTypes: ['Default'], runtimeConversion: 'none' },
  switches: ['NAT'],
  capacity: { memoryMB: 1, cpus: 1, diskMB: 1_048_576 },
  allocated: { memoryMB: 0, cpus: 0, diskMB: 0 },
  utilityVmOverheadMB: 0,
  schedulable: true,
  state: 'Ready',
  lastSeenAt: null,
  agentVersion: '1',
  labels: {},
  revision: 1,
  ...change,
});
