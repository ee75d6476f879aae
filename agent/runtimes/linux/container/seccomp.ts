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
/** `CLONE_NEW…` of every kind of namespace. */
const NEW_NAMESPACES = 0x7e020000;
const DECIDED: ReadonlySet<string> = new Set([...REFUSED, 'clone', 'clone3']);

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
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    {
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
    },
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
