/**
 * The capabilities of a container's root: Docker's default list without CAP_MKNOD. A device node on a disk would outlive the
 * process, and in a utility VM it would give access to the raw disk. `agent/guest/confine.c` has the same list.
 */
export const CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

/** Bits in the kernel's capability sets, from linux/capability.h. */
const BITS: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_RAW: 13,
  CAP_SYS_CHROOT: 18,
  CAP_MKNOD: 27,
  CAP_AUDIT_WRITE: 29,
  CAP_SETFCAP: 31,
};

/** The capabilities as a mask, as in `/proc/<pid>/status`. */
export const capabilityMask = (): bigint =>
  CAPABILITIES.reduce((mask, name) => mask | (1n << BigInt(BITS[name] ?? 63)), 0n);
