/**
 * What a container's root may do beyond other users: Docker's default list without CAP_MKNOD. A device node on a disk
 * would outlive the process, and in a utility VM it would lead to the raw disk. `agent/guest/confine.c` keeps the same.
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
