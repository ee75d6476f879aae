import { posix } from 'node:path';
import type { ContainerSpec } from '../../../../core/contract/container.ts';
import type { ImageConfig } from '../../../../core/contract/image.ts';
import { RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import { hostNameOf } from '../../host-name.ts';
import type { ExecRequest } from '../../session-process.ts';
import { CPU_PERIOD_US, cgroupParent } from '../cgroups.ts';
import { CAPABILITIES } from './capabilities.ts';
import { NAMESPACE_IDS, type UserNamespace } from './user-namespaces.ts';

const LEAST_QUOTA_US = 1_000;
export const PIDS_LIMIT = 4_096;
/** Set explicitly, because the container would inherit the agent's umask, which denies access to other users. */
const CONTAINER_UMASK = 0o022;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly groups: readonly number[];
}

interface OciInput {
  readonly id: string;
  readonly tag: string;
  readonly spec: ContainerSpec;
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly identity: Identity;
  readonly root: string;
  /** Path of the network namespace, which the user namespace owns; null for a new, empty namespace. */
  readonly networkNamespace: string | null;
  readonly resolver: string | null;
  /** Folder with the container's files hosts and hostname. */
  readonly names: string;
  readonly userNamespace: UserNamespace;
  readonly seccomp: Readonly<Record<string, unknown>>;
  /** Whether the kernel accounts for the swap of cgroups. */
  readonly countsSwap: boolean;
}

export interface WantedProcess {
  readonly command: readonly string[];
  /** `NAME=value`, beginning with the image's variables. */
  readonly env: readonly string[];
  readonly workingDir: string;
  /** `user` or `user:group`; empty for root. */
  readonly user: string;
}

type Settings = Pick<ExecRequest, 'env' | 'workingDir' | 'user'>;

/** Completes the settings of a process with the image's configuration. */
export const resolveProcess = (
  asked: Settings & { readonly command: readonly string[] },
  image: ImageConfig,
): WantedProcess => {
  const own = Object.entries(asked.env ?? {}).map(([name, value]) => `${name}=${value}`);
  const named = new Set(Object.keys(asked.env ?? {}));
  return {
    command: asked.command,
    env: [...image.env.filter((entry) => !named.has(entry.split('=', 1)[0] ?? '')), ...own],
    workingDir: asked.workingDir ?? posix.join('/', image.workingDir),
    user: asked.user ?? image.user,
  };
};

/**
 * Completes the settings of a main process. As in Docker, an entrypoint precedes the command, and the command of an image belongs to
 * the entrypoint of that image.
 * @throws {RuntimeError} `no-command` if neither the container nor the image has a command
 */
export const resolveMain = (
  spec: Settings & Pick<ContainerSpec, 'entrypoint' | 'command'>,
  image: ImageConfig,
): WantedProcess => {
  const { entrypoint, command } = spec;
  const words = entrypoint
    ? [...entrypoint, ...(command ?? [])]
    : [...image.entrypoint, ...(command ?? image.command)];
  if (words.length === 0)
    throw new RuntimeError('no-command', 'Neither the container nor its image has a command', {
      suggestion: 'Create the container with a command or an entrypoint.',
    });
  return resolveProcess({ ...spec, command: words }, image);
};

const completeEnvironment = (env: readonly string[], home: string, tty: boolean): string[] => {
  const has = (name: string) => env.some((entry) => entry.startsWith(`${name}=`));
  return [
    ...env,
    ...(has('PATH') ? [] : [`PATH=${DEFAULT_PATH}`]),
    ...(has('HOME') ? [] : [`HOME=${home}`]),
    ...(tty && !has('TERM') ? ['TERM=xterm'] : []),
  ];
};

const mount = (destination: string, type: string, options: readonly string[], source = type) => ({
  destination,
  type,
  source,
  options,
});
const MOUNTS = [
  mount('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
  mount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
  mount('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
  mount('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'], 'shm'),
  mount('/dev/mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
  mount('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
  // Programs size themselves by the limits of their own cgroup, which is the root of this mount.
  mount('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']),
];

/** Paths that the kernel exposes to every process and that containers do not need. Also used in utility VMs. */
export const MASKED_PATHS = [
  ...[
    'acpi',
    'asound',
    'interrupts',
    'kcore',
    'keys',
    'latency_stats',
    'timer_list',
    'timer_stats',
    'sched_debug',
    'scsi',
  ].map((name) => `/proc/${name}`),
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
export const READ_ONLY_PATHS = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

const namespaces = (user: string, network: string | null) => [
  { type: 'user', path: user },
  ...['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
  network === null ? { type: 'network' } : { type: 'network', path: network },
];

const idMappings = ({ firstId }: UserNamespace) => [{ containerID: 0, hostID: firstId, size: NAMESPACE_IDS }];

const userOf = ({ uid, gid, groups }: Identity) => ({
  uid,
  gid,
  umask: CONTAINER_UMASK,
  additionalGids: groups,
});

/** The helper, which runc passes to the process as a descriptor, and which runs the program: `helper/start-by-runc.h`. */
export const PASSED_HELPER = '/proc/self/fd/3';

/** The `process` member for a main process or another process. It has the limits that runc has. */
export const ociProcess = (
  { command, env, workingDir }: Omit<WantedProcess, 'user'>,
  identity: Identity,
  tty: boolean,
  size?: { readonly columns: number; readonly rows: number },
) => ({
  terminal: tty,
  ...(tty && size ? { consoleSize: { width: size.columns, height: size.rows } } : {}),
  user: userOf(identity),
  args: [PASSED_HELPER, 'run-program', ...command],
  env: completeEnvironment(env, identity.home, tty),
  cwd: workingDir,
  capabilities: {
    bounding: CAPABILITIES,
    effective: identity.uid === 0 ? CAPABILITIES : [],
    permitted: identity.uid === 0 ? CAPABILITIES : [],
  },
  noNewPrivileges: true,
});

/** `swap` limits memory plus swap, so the same value allows no swap in addition to memory. */
const memoryOf = ({ spec, countsSwap }: OciInput) => {
  const limit = spec.resources.memoryMB * MIB;
  return countsSwap ? { limit, swap: limit } : { limit };
};

/**
 * The configuration of a process-isolated container for an OCI runtime.
 * Source: config.md and config-linux.md of the OCI runtime specification, 1.0.
 */
export const ociConfig = (input: OciInput) => ({
  ociVersion: '1.0.2',
  process: ociProcess(input, input.identity, input.spec.tty === true),
  root: { path: input.root, readonly: false },
  hostname: hostNameOf(input.id),
  mounts: [
    ...MOUNTS,
    ...['hosts', 'hostname'].map((name) =>
      mount(
        `/etc/${name}`,
        'bind',
        ['rbind', 'rw', 'nosuid', 'nodev', 'noexec'],
        posix.join(input.names, name),
      ),
    ),
    ...(input.resolver === null ? [] : [mount('/etc/resolv.conf', 'bind', ['rbind', 'ro'], input.resolver)]),
  ],
  linux: {
    cgroupsPath: `${cgroupParent(input.tag)}/${input.id}`,
    resources: {
      devices: [{ allow: false, access: 'rwm' }],
      memory: memoryOf(input),
      cpu: {
        period: CPU_PERIOD_US,
        quota: Math.max(LEAST_QUOTA_US, Math.round(input.spec.resources.cpus * CPU_PERIOD_US)),
      },
      pids: { limit: PIDS_LIMIT },
    },
    namespaces: namespaces(input.userNamespace.path, input.networkNamespace),
    uidMappings: idMappings(input.userNamespace),
    gidMappings: idMappings(input.userNamespace),
    seccomp: input.seccomp,
    maskedPaths: MASKED_PATHS,
    readonlyPaths: READ_ONLY_PATHS,
  },
});
