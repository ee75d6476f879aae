import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { RuntimeError } from '../../../errors.ts';
import { CAPABILITIES } from './capabilities.ts';

/** The distribution's default profile for containers; comes with skopeo (Debian: golang-github-containers-common). */
const SECCOMP_PROFILE = '/usr/share/containers/seccomp.json';

const ConditionSchema = z.looseObject({
  caps: z.optional(z.array(z.string())),
  arches: z.optional(z.array(z.string())),
  minKernel: z.optional(z.string()),
});
const RuleSchema = z.looseObject({
  names: z.array(z.string()),
  action: z.string(),
  args: z.optional(z.nullable(z.array(z.looseObject({})))),
  errnoRet: z.optional(z.nullable(z.int())),
  includes: z.optional(ConditionSchema),
  excludes: z.optional(ConditionSchema),
});
const ProfileSchema = z.looseObject({
  defaultAction: z.string(),
  defaultErrnoRet: z.optional(z.int()),
  archMap: z.array(
    z.looseObject({ architecture: z.string(), subArchitectures: z.nullable(z.array(z.string())) }),
  ),
  syscalls: z.array(RuleSchema),
});
type Condition = z.infer<typeof ConditionSchema>;

const ARCHITECTURE = 'SCMP_ARCH_X86_64';
const ARCH_NAME = 'amd64';
/**
 * The x32 ABI. Kernels do not offer it by default, and without it the filter is a third smaller and faster to build.
 */
const UNUSED_ARCHITECTURE = 'SCMP_ARCH_X32';
const held: readonly string[] = CAPABILITIES;

/** An empty condition is always true. Members that are not used here are ignored. */
const holds = ({ caps = [], arches = [] }: Condition): boolean =>
  caps.every((cap) => held.includes(cap)) && (arches.length === 0 || arches.includes(ARCH_NAME));
const isNamed = ({ caps = [], arches = [] }: Condition): boolean =>
  caps.some((cap) => held.includes(cap)) || arches.includes(ARCH_NAME);

/**
 * Converts a profile in the container engines' format to the format of the OCI runtime. Keeps only the rules for this
 * machine and for the capabilities that containers have.
 */
export const resolveProfile = (text: string) => {
  const profile = ProfileSchema.parse(JSON.parse(text));
  const architecture = profile.archMap.find((one) => one.architecture === ARCHITECTURE);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [
      ARCHITECTURE,
      ...(architecture?.subArchitectures ?? []).filter((one) => one !== UNUSED_ARCHITECTURE),
    ],
    syscalls: profile.syscalls
      .filter(({ includes = {}, excludes = {} }) => holds(includes) && !isNamed(excludes))
      .map(({ names, action, args, errnoRet }) => ({
        names,
        action,
        ...(args?.length ? { args } : {}),
        ...(typeof errnoRet === 'number' ? { errnoRet } : {}),
      })),
  };
};

/**
 * Always refused, even if the distribution's profile allows them. A new namespace gives a process every capability
 * inside it, and with them access to the parts of the kernel that most escapes have used. Keyrings are shared between
 * containers. io_uring bypasses this filter.
 * `agent/guest/denied.inc` is the corresponding list for utility VMs.
 */
const REFUSED = [
  ...['unshare', 'setns', 'mount', 'umount', 'umount2', 'pivot_root'],
  ...['move_mount', 'mount_setattr', 'open_tree', 'fsopen', 'fsconfig', 'fsmount', 'fspick'],
  ...['keyctl', 'add_key', 'request_key'],
  ...['io_uring_setup', 'io_uring_enter', 'io_uring_register'],
];
const EPERM = 1;
const ENOSYS = 38;
const SUCCESS = 0;
/** The `CLONE_NEW…` flags of all kinds of namespaces. */
const NEW_NAMESPACES = 0x7e020000;

type Comparison = 'SCMP_CMP_EQ' | 'SCMP_CMP_NE' | 'SCMP_CMP_MASKED_EQ';
const argument = (index: number, op: Comparison, value: number, valueTwo = 0) => ({
  index,
  value,
  valueTwo,
  op,
});
/** The kernel reads only the low 32 bits of these arguments, but a filter compares 64, so the comparison is masked. */
const bits = (index: number, mask: number, value: number) =>
  argument(index, 'SCMP_CMP_MASKED_EQ', mask, value);
const allow = (name: string, ...args: readonly ReturnType<typeof argument>[]) => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args,
});

const equals = (index: number, value: number) => argument(index, 'SCMP_CMP_EQ', value);
/** Conditions, at least one of which matches any value that differs from `value` in the bits of `mask`. */
const otherBits = (index: number, mask: number, value: number) =>
  Array.from({ length: 32 }, (_, place) => (1 << place) >>> 0)
    .filter((bit) => (mask & bit) !== 0)
    .map((bit) => bits(index, bit, (~value & bit) >>> 0));

/**
 * The allowed families are confined to a network namespace. Others bypass it: for example, AF_VSOCK reaches the
 * hypervisor and services of the host. The first socket of a family or a protocol also loads its module, with its
 * vulnerabilities, into the host's kernel. Each rule adds about 0.3 ms to a start, so one mask covers several values
 * where possible.
 */
const [AF_UNIX, AF_NETLINK, AF_PACKET] = [1, 16, 17];
/** AF_INET (2) and AF_INET6 (10). */
const internet = () => bits(0, 0xffff_fff7, 2);
/**
 * SOCK_STREAM (1), SOCK_DGRAM (2) and SOCK_RAW (3), with any flags. The other types are DCCP, SCTP and an old name of
 * AF_PACKET.
 */
const commonType = () => bits(1, 0xc, 0);
const rawType = () => bits(1, 0xf, 3);
/**
 * The default of the socket type, ICMP, TCP, UDP, ICMPv6, MPTCP. A raw socket can have any protocol, because that loads
 * no module.
 */
const INTERNET_PROTOCOLS = [0, 1, 6, 17, 58, 262];
/**
 * NETLINK_ROUTE (0), NETLINK_SOCK_DIAG (4), audit (9) and device events (15). NETLINK_GENERIC is refused, because it
 * loads modules by name.
 */
const NETLINK_PROTOCOLS = [bits(2, 0xffff_fffb, 0), equals(2, 9), equals(2, 15)];

/**
 * A ring of an AF_PACKET socket is kernel memory that is charged to no container, and one call can allocate gigabytes.
 * At level SOL_PACKET (263), options whose low bits are those of PACKET_RX_RING (5) and PACKET_TX_RING (13) are
 * refused. All other levels in use are below 256 or have bit 3 set.
 */
const SOL_PACKET = 263;
const SOCKET_OPTIONS = [
  allow('setsockopt', bits(1, 0xffff_ff00, 0)),
  allow('setsockopt', bits(1, 8, 8)),
  ...otherBits(2, 7, 5).map((option) => allow('setsockopt', bits(1, 0xffff_ffff, SOL_PACKET), option)),
];

/**
 * Refuses TIOCSETD (0x5423), because a line discipline of a terminal is a kernel module that it loads. A command is
 * refused if its low byte is that of TIOCSETD and bit 15 is not set. Bit 15 is set in the commands of sockets, and no
 * command of files has that low byte.
 */
const COMMANDS = [...otherBits(1, 0xff, 0x23), bits(1, 0x8000, 0x8000)].map((command) =>
  allow('ioctl', command),
);

/**
 * `socketcall` of 32-bit programs passes its arguments in memory, which a filter cannot read, so it is refused.
 * libseccomp derives rules for it from those for `socket`, without the family, so this rule must come after them. Its
 * errno differs from the default, because runc omits a rule that equals the default.
 */
const SOCKETS = [
  ...[AF_UNIX, AF_PACKET].map((family) => allow('socket', equals(0, family))),
  ...INTERNET_PROTOCOLS.map((protocol) => allow('socket', internet(), commonType(), equals(2, protocol))),
  allow('socket', internet(), rawType()),
  ...NETLINK_PROTOCOLS.map((protocol) => allow('socket', equals(0, AF_NETLINK), protocol)),
  allow('socketpair', equals(0, AF_UNIX)),
  ...SOCKET_OPTIONS,
  { names: ['socketcall'], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
];

/**
 * A core dump limit of one byte keeps a crash from starting the host's handler (core(5)). A limit of zero would start
 * it, and a process can always lower its limit. So calls that change this limit succeed without effect: the container
 * gets no core dump in either case.
 */
const RLIMIT_CORE = 4;
/** Matches all resources except RLIMIT_CORE, by mask and value. */
const OTHER_LIMITS = [
  [0xffff_fffc, 0],
  [0xffff_ffff, 5],
  [0xffff_fffe, 6],
  [0xffff_fff8, 8],
] as const;
const isCore = (index: number) => bits(index, 0xffff_ffff, RLIMIT_CORE);
const CORE_LIMIT = [
  ...OTHER_LIMITS.flatMap(([mask, value]) => [
    allow('setrlimit', bits(0, mask, value)),
    allow('prlimit64', bits(1, mask, value)),
  ]),
  { names: ['setrlimit'], action: 'SCMP_ACT_ERRNO', errnoRet: SUCCESS, args: [isCore(0)] },
  allow('prlimit64', isCore(1), equals(2, 0)),
  {
    names: ['prlimit64'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: SUCCESS,
    // Only if the caller does not request the old limit too: the kernel would not return it for a call that the filter answers.
    args: [isCore(1), argument(2, 'SCMP_CMP_NE', 0), equals(3, 0)],
  },
];

const DECIDED: ReadonlySet<string> = new Set([
  ...REFUSED,
  ...['clone', 'clone3'],
  ...[...SOCKETS, ...CORE_LIMIT, ...COMMANDS].flatMap(({ names }) => names),
]);

interface Profile {
  readonly syscalls: readonly { readonly names: readonly string[] }[];
}

/**
 * Adds the rules above to a profile. `clone3` fails with ENOSYS, because a filter cannot read its flags, and C
 * libraries then use `clone`.
 */
export const refuseMore = <T extends Profile>(profile: T) => ({
  ...profile,
  syscalls: [
    ...profile.syscalls
      .map((rule) => ({ ...rule, names: rule.names.filter((name) => !DECIDED.has(name)) }))
      .filter(({ names }) => names.length > 0),
    { names: REFUSED, action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
    ...SOCKETS,
    ...CORE_LIMIT,
    ...COMMANDS,
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    allow('clone', bits(0, NEW_NAMESPACES, 0)),
  ],
});

/** @throws {RuntimeError} if the profile is missing on this machine: no container runs without one */
export const readSeccompProfile = async (): Promise<Readonly<Record<string, unknown>>> => {
  const text = await readFile(SECCOMP_PROFILE, 'utf8').catch((cause) => {
    throw new RuntimeError(
      'step-failed',
      `The seccomp profile for containers (${SECCOMP_PROFILE}) is missing`,
      {
        suggestion: 'Install the package golang-github-containers-common.',
        cause,
      },
    );
  });
  return refuseMore(resolveProfile(text));
};
