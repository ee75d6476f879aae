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
    architectures: [ARCHITECTURE, ...(architecture?.subArchitectures ?? [])],
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
 * with these the parts of the kernel that most escapes have used; keyrings are not separated between containers.
 * `agent/guest/denied.inc` has them for utility VMs.
 */
const REFUSED = [
  ...['unshare', 'setns', 'mount', 'umount', 'umount2', 'pivot_root'],
  ...['move_mount', 'mount_setattr', 'open_tree', 'fsopen', 'fsconfig', 'fsmount', 'fspick'],
  ...['keyctl', 'add_key', 'request_key'],
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

/**
 * AF_UNIX, AF_INET, AF_INET6, AF_NETLINK and AF_PACKET belong to a network namespace. Others lead around it: AF_VSOCK to
 * the hypervisor and to services of the host. The first socket of a family also loads its module into the host's kernel.
 */
const SOCKET_FAMILIES = [1, 2, 10, 16, 17];
const AF_UNIX = 1;

/**
 * What `socketcall` of 32-bit programs asks for is in memory, where no filter sees it. libseccomp makes rules for it of
 * those for `socket`, without the family. Its own rule must come after them, and runc omits one with the default answer.
 */
const SOCKETS = [
  ...SOCKET_FAMILIES.map((family) => allow('socket', argument(0, 'SCMP_CMP_EQ', family))),
  allow('socketpair', argument(0, 'SCMP_CMP_EQ', AF_UNIX)),
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
  allow('prlimit64', isCore(1), argument(2, 'SCMP_CMP_EQ', 0)),
  {
    names: ['prlimit64'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: SUCCESS,
    // Who asks for the limit before as well would read what the kernel has not written.
    args: [isCore(1), argument(2, 'SCMP_CMP_NE', 0), argument(3, 'SCMP_CMP_EQ', 0)],
  },
];

const DECIDED: ReadonlySet<string> = new Set([
  ...REFUSED,
  ...['clone', 'clone3'],
  ...[...SOCKETS, ...CORE_LIMIT].flatMap(({ names }) => names),
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
