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
/** Kernels do not offer it by default. A third of the filter, and of the time to make it at each start. */
const UNUSED_ARCHITECTURE = 'SCMP_ARCH_X32';
const held: readonly string[] = CAPABILITIES;

/** An empty condition holds: what is not named does not matter. */
const holds = ({ caps = [], arches = [] }: Condition): boolean =>
  caps.every((cap) => held.includes(cap)) && (arches.length === 0 || arches.includes(ARCH_NAME));
const isNamed = ({ caps = [], arches = [] }: Condition): boolean =>
  caps.some((cap) => held.includes(cap)) || arches.includes(ARCH_NAME);

/**
 * A profile in the engines' format to what the OCI runtime takes: the rules that apply to this machine and to the
 * capabilities that containers have.
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
 * Refused whatever the distribution's profile says: new namespaces give a process every capability inside them, and
 * with these the parts of the kernel that most escapes have used; keyrings are not separated between containers;
 * io_uring does its work past this filter.
 * `agent/guest/denied.inc` has them for utility VMs.
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
/** `CLONE_NEW…` of every kind of namespace. */
const NEW_NAMESPACES = 0x7e020000;

type Comparison = 'SCMP_CMP_EQ' | 'SCMP_CMP_NE' | 'SCMP_CMP_MASKED_EQ';
const argument = (index: number, op: Comparison, value: number, valueTwo = 0) => ({
  index,
  value,
  valueTwo,
  op,
});
/** The kernel reads 32 bits of the number of a resource, and a filter compares 64: what is above them must not matter. */
const bits = (index: number, mask: number, value: number) =>
  argument(index, 'SCMP_CMP_MASKED_EQ', mask, value);
const allow = (name: string, ...args: readonly ReturnType<typeof argument>[]) => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args,
});

const equals = (index: number, value: number) => argument(index, 'SCMP_CMP_EQ', value);
/** Conditions of which one matches each value that differs from `value` in these bits. */
const otherBits = (index: number, mask: number, value: number) =>
  Array.from({ length: 32 }, (_, place) => (1 << place) >>> 0)
    .filter((bit) => (mask & bit) !== 0)
    .map((bit) => bits(index, bit, (~value & bit) >>> 0));

/**
 * These families belong to a network namespace. Others lead around it: AF_VSOCK to the hypervisor and to services of the
 * host. The first socket of a family or a protocol also loads its module into the host's kernel, with its defects. Each
 * rule takes a start some 0.3 ms, so one mask stands for several values where it can.
 */
const [AF_UNIX, AF_NETLINK, AF_PACKET] = [1, 16, 17];
/** AF_INET (2) and AF_INET6 (10). */
const internet = () => bits(0, 0xffff_fff7, 2);
/** SOCK_STREAM (1), SOCK_DGRAM (2) and SOCK_RAW (3), with any flags. Others are DCCP, SCTP and an old name of AF_PACKET. */
const commonType = () => bits(1, 0xc, 0);
const rawType = () => bits(1, 0xf, 3);
/** The type's own, ICMP, TCP, UDP, ICMPv6, MPTCP. A raw socket may have any: it loads nothing. */
const INTERNET_PROTOCOLS = [0, 1, 6, 17, 58, 262];
/** NETLINK_ROUTE (0) and NETLINK_SOCK_DIAG (4); the audit and devices. NETLINK_GENERIC loads a module of any name. */
const NETLINK_PROTOCOLS = [bits(2, 0xffff_fffb, 0), equals(2, 9), equals(2, 15)];

/**
 * A ring of an AF_PACKET socket is memory of the kernel that it charges to no container: gigabytes by one call. Of that
 * level (263), options that have the low bits of PACKET_RX_RING (5) and PACKET_TX_RING (13) are refused. Levels in use are
 * below 256 or have bit 3.
 */
const SOL_PACKET = 263;
const SOCKET_OPTIONS = [
  allow('setsockopt', bits(1, 0xffff_ff00, 0)),
  allow('setsockopt', bits(1, 8, 8)),
  ...otherBits(2, 7, 5).map((option) => allow('setsockopt', bits(1, 0xffff_ffff, SOL_PACKET), option)),
];

/**
 * A line discipline of a terminal is a module of the kernel, which TIOCSETD (0x5423) loads. A command is refused that has
 * its number and none of the upper half of types, to which those of sockets belong; files have no such number.
 */
const COMMANDS = [...otherBits(1, 0xff, 0x23), bits(1, 0x8000, 0x8000)].map((command) =>
  allow('ioctl', command),
);

/**
 * What `socketcall` of 32-bit programs asks for is in memory, where no filter sees it. libseccomp makes rules for it of
 * those for `socket`, without the family. Its own rule must come after them, and runc omits one with the default answer.
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
 * Only a limit of one byte for core dumps keeps a crash from starting the host's handler (core(5)), and a process may
 * always lower it to none. That call succeeds and changes nothing: there is no core dump either way.
 */
const RLIMIT_CORE = 4;
/** All resources but that one, by their upper bits. */
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
    // Who asks for the limit before as well would read what the kernel has not written.
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

/** No filter sees the flags of `clone3`; a C library takes `clone` where the kernel lacks it. */
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

/** @throws {RuntimeError} when this machine has no such profile: no container runs without one */
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
