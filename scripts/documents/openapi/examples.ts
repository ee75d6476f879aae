/** Examples of the main requests and responses. test/unit/scripts validates them against the schemas. */

const containerId = '0b8f9a52-7c1e-4d0a-9d1f-3f0c9a4f6d21';
const operationId = '7d1c9be4-52a3-4f6e-8a55-0a4b3c2d1e0f';
const at = '2026-11-24T10:00:00.000Z';

const container = {
  id: containerId,
  name: 'HYPVCON',
  image: 'NanoServer',
  runtimeType: 'HyperV',
  state: 'Starting',
  hostId: null,
  switchName: 'Virtual Switch',
  network: { egress: { default: 'allow', allow: [], deny: [] }, peers: 'none' },
  networkPending: false,
  entrypoint: null,
  command: null,
  env: {},
  workingDir: null,
  user: null,
  tty: false,
  stdin: true,
  labels: { team: 'payments' },
  resources: { memoryMB: 512, cpus: 1, diskMB: 2048 },
  ports: [],
  restartPolicy: { name: 'no' },
  autoRemove: false,
  exitCode: null,
  startedAt: null,
  uptimeSeconds: 0,
  lastRun: null,
  activeOperationId: operationId,
  lastError: null,
  revision: 1,
  createdAt: at,
  updatedAt: at,
};

const { env: _, entrypoint: __, lastRun: ___, ...containerSummary } = container;

const operation = {
  id: operationId,
  kind: 'create',
  containerId,
  hostId: null,
  state: 'Pending',
  reason: null,
  steps: [],
  error: null,
  requestedBy: 'ann',
  deadline: '2026-11-24T10:15:00.000Z',
  createdAt: at,
  updatedAt: at,
  endedAt: null,
};

export interface Example {
  readonly request?: unknown;
  /** By status. */
  readonly responses?: Readonly<Record<string, unknown>>;
}

/** By operationId. */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  createContainer: {
    request: {
      name: 'HYPVCON',
      image: 'NanoServer',
      switchName: 'Virtual Switch',
      runtimeType: 'HyperV',
      labels: { team: 'payments' },
      resources: { memoryMB: 512 },
      start: true,
    },
    responses: { 202: { container, operation } },
  },
  getContainer: { responses: { 200: container } },
  listContainers: { responses: { 200: { items: [containerSummary], nextCursor: null } } },
  updateContainer: { request: { labels: { team: 'payments' }, restartPolicy: { name: 'always' } } },
  stopContainer: { request: { timeoutSeconds: 30 } },
  getOperation: { responses: { 200: operation } },
  createEnrollmentToken: { request: { labels: { rack: 'r1' } } },
  importImage: {
    request: {
      name: 'nanoserver',
      hostId: '3c1d0e9f-8a7b-4c6d-9e5f-0a1b2c3d4e5f',
      source: { reference: 'mcr.microsoft.com/windows/nanoserver:1607' },
    },
  },
};
