import { endOfEvents, itemsOf, readEvents } from '../../../core/client/index.ts';
import type { Host } from '../../../core/contract/host.ts';
import type { Bridge } from '../bridge.ts';
import { allImages } from '../images.ts';
import { EVENT_FILTERS, eventMatches, toDockerEvent } from '../translate/events.ts';
import { checkFilters, parseFilters } from '../translate/filters.ts';
import { dockerState, isRunning } from '../translate/state.ts';
import { parseTime } from '../translate/time.ts';
import { API_VERSION, OLDEST_API_VERSION } from '../versions.ts';
import { type Handle, route } from './route.ts';

/** Cache time: docker sends a ping before each command, but the hosts rarely change. */
const OS_TYPE_MS = 30_000;

export const hostsOf = async (bridge: Bridge): Promise<Host[]> => {
  const hosts: Host[] = [];
  for await (const host of itemsOf(bridge.client, 'listHosts', { query: { limit: '200' } })) hosts.push(host);
  return hosts;
};

const familyOf = (hosts: readonly Host[]): 'windows' | 'linux' =>
  hosts.length > 0 && hosts.every(({ os }) => os.family === 'windows') ? 'windows' : 'linux';

/** Docker has one system type. It is windows only if every host runs Windows. */
const createOsType = () => {
  let known: { readonly osType: string; readonly until: number } | undefined;
  const read = async (bridge: Bridge): Promise<string> => {
    // A ping checks only the bridge. The following command shows whether the API responds.
    const osType = await hostsOf(bridge).then(familyOf, () => known?.osType ?? 'linux');
    known = { osType, until: bridge.now + OS_TYPE_MS };
    return osType;
  };
  return async (bridge: Bridge): Promise<string> => {
    if (known === undefined) return read(bridge);
    const { osType, until } = known;
    if (until <= bridge.now) {
      // The next request gets the new value. This one does not wait.
      known = { osType, until: bridge.now + OS_TYPE_MS };
      void read(bridge);
    }
    return osType;
  };
};
export const osTypeOf = createOsType();

const ping: Handle = async (_, exchange) => exchange.text(200, 'OK');

const version: Handle = async ({ bridge }, exchange) => {
  const control = await bridge.client.call('getVersion', {});
  const os = await osTypeOf(bridge);
  exchange.json(200, {
    Platform: { Name: 'Bulkhead' },
    Version: control.version,
    ApiVersion: API_VERSION,
    MinAPIVersion: OLDEST_API_VERSION,
    Os: os,
    Arch: 'amd64',
    GitCommit: '',
    GoVersion: '',
    KernelVersion: '',
    BuildTime: '',
    Experimental: false,
    Components: [
      {
        Name: 'Engine',
        Version: control.version,
        Details: { ApiVersion: API_VERSION, MinAPIVersion: OLDEST_API_VERSION, Os: os, Arch: 'amd64' },
      },
      { Name: 'bulkhead docker', Version: bridge.settings.version, Details: {} },
    ],
  });
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const MIB = 1024 * 1024;

/** Members that clients read, for features that the hosts have or do not have. */
const fixedFacts = (now: string, hosts: number) => ({
  Debug: false,
  ExperimentalBuild: false,
  LiveRestoreEnabled: true,
  SystemTime: now,
  MemoryLimit: true,
  SwapLimit: false,
  CpuCfsPeriod: true,
  CpuCfsQuota: true,
  CPUShares: false,
  CPUSet: false,
  PidsLimit: false,
  OomKillDisable: false,
  IPv4Forwarding: true,
  CgroupDriver: 'none',
  CgroupVersion: '2',
  OSVersion: '',
  IndexServerAddress: '',
  RegistryConfig: { IndexConfigs: {}, InsecureRegistryCIDRs: [], Mirrors: [] },
  DockerRootDir: '',
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  Labels: [],
  InitBinary: '',
  ProductLicense: '',
  NGoroutines: hosts,
  NFd: 0,
  NEventsListener: 0,
});

const info: Handle = async ({ bridge }, exchange) => {
  const [hosts, containers, control] = await Promise.all([
    hostsOf(bridge),
    bridge.containers(),
    bridge.client.call('getVersion', {}),
  ]);
  const images = new Set((await allImages(bridge)).map(({ digest }) => digest)).size;
  const ready = hosts.filter(({ state }) => state === 'Ready');
  exchange.json(200, {
    ID: bridge.client.apiUrl,
    Name: new URL(bridge.client.apiUrl).host,
    ServerVersion: control.version,
    Containers: containers.length,
    ContainersRunning: containers.filter(isRunning).length,
    ContainersPaused: 0,
    ContainersStopped: containers.filter((one) => dockerState(one) !== 'running').length,
    Images: images,
    Driver: 'bulkhead',
    DriverStatus: hosts.map(({ name, state, os, hypervisor }) => [
      name,
      `${state}, ${os.sku} ${os.version}, ${hypervisor}`,
    ]),
    OperatingSystem: `Bulkhead: ${ready.length} of ${hosts.length} hosts ready`,
    OSType: familyOf(hosts),
    Architecture: hosts[0]?.architecture === 'arm64' ? 'aarch64' : 'x86_64',
    NCPU: Math.floor(sum(ready.map(({ capacity }) => capacity.cpus))),
    MemTotal: sum(ready.map(({ capacity }) => capacity.memoryMB)) * MIB,
    KernelVersion: [...new Set(hosts.map(({ kernel }) => kernel))].join(', '),
    // `docker run` without --isolation: process isolation, Bulkhead's Default.
    Isolation: 'process',
    Plugins: {
      Volume: [],
      Network: [...new Set(hosts.flatMap(({ switches }) => switches))],
      Authorization: null,
      Log: [],
    },
    Swarm: { LocalNodeState: 'inactive', NodeID: '', NodeAddr: '', ControlAvailable: false },
    ...fixedFacts(new Date(bridge.now).toISOString(), ready.length),
    LoggingDriver: 'json-file',
    SecurityOptions: [],
    Runtimes: {},
    DefaultRuntime: '',
    Warnings: null,
  });
};

/** The API returns events with a short delay, so that none is skipped. */
const SETTLING_MS = 5_000;

const events: Handle = async ({ bridge }, exchange) => {
  const { query, signal } = exchange;
  const filters = parseFilters(query.get('filters'));
  checkFilters(filters, EVENT_FILTERS);
  const since = parseTime(query.get('since'));
  const until = parseTime(query.get('until'));
  const cursor = since === undefined ? await endOfEvents(bridge.client, signal) : undefined;
  const write = exchange.stream('application/json');
  const follow = until === undefined || until + SETTLING_MS > bridge.now;
  const timeLimit = new AbortController();
  const wait = until === undefined || !follow ? undefined : until - bridge.now + SETTLING_MS;
  const timer = wait === undefined ? undefined : setTimeout(() => timeLimit.abort(), wait);
  const ended = AbortSignal.any([signal, timeLimit.signal]);
  try {
    for await (const event of readEvents(bridge.client, { cursor, follow, signal: ended })) {
      const at = Date.parse(event.time);
      if (since !== undefined && at < since) continue;
      if (until !== undefined && at > until) return;
      const dockerEvent = toDockerEvent(event);
      if (dockerEvent !== undefined && eventMatches(dockerEvent, filters))
        await write(`${JSON.stringify(dockerEvent)}\n`);
    }
  } catch (error) {
    if (!ended.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
};

const volumes: Handle = async (_, exchange) => exchange.json(200, { Volumes: [], Warnings: null });

export const SYSTEM_ROUTES = [
  route('GET', '/_ping', ping),
  route('HEAD', '/_ping', ping),
  route('GET', '/version', version),
  route('GET', '/info', info),
  route('GET', '/events', events),
  route('GET', '/volumes', volumes),
];
