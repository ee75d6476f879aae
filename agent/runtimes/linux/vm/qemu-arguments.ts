/** Descriptors that the helper opens before it runs QEMU (`helper/launch-vm.c` has the same numbers). */
const CHANNEL_FD = 10;
const QMP_FD = 11;
const CONSOLE_FD = 12;
const TAP_FD = 13;
const RAM_FD = 14;
export const STATE_FD = 15;

export const QEMU = '/usr/bin/qemu-system-x86_64';

export type Accelerator = 'kvm' | 'tcg';

/** The shape of a utility VM. A clone must have its template's shape. */
export interface VmShape {
  readonly ramMB: number;
  readonly cpus: number;
  readonly accelerator: Accelerator;
}

export type VmStart =
  /** Boots, with private memory. */
  | { readonly kind: 'boot'; readonly tscKhz: number }
  /** Boots, with its memory in a file that becomes the template. */
  | { readonly kind: 'template'; readonly tscKhz: number }
  | { readonly kind: 'clone' };

/** QEMU's buffer for translated code. By default it can grow to an eighth of the machine's memory. */
const TRANSLATION_BUFFER_MB = 64;
/**
 * Memory of the VM for the guest's kernel and agent, in MiB. With less, the guest runs out of memory before its container reaches
 * its limit, and hangs: its kernel drops the pages of programs and reads them again, endlessly, before it kills a process.
 */
export const GUEST_OVERHEAD_MB = 96;
/** Memory of a worker process in addition to the VM's memory, in MiB: the buffer, QEMU itself, I/O of its threads. */
export const WORKER_OVERHEAD_MB = TRANSLATION_BUFFER_MB + 64;

/**
 * Without the tsc parameters, one boot in three hangs under emulation. Without ACPI and `arat`, an idle VM uses 4 % of a core.
 * The other parameters only save time. For example, `rcu_expedited` shortens RCU grace periods, which would cost each start and
 * each exec about 10 ms.
 */
const kernelLine = (tscKhz: number): string =>
  [
    'console=ttyS0 quiet reboot=t panic=-1',
    `tsc=reliable tsc_early_khz=${tscKhz} no_timer_check`,
    'nokaslr init_on_alloc=0 mitigations=off cryptomgr.notests audit=0 apparmor=0 selinux=0',
    'rcupdate.rcu_expedited=1',
  ].join(' ');

const memory = ({ ramMB }: VmShape, start: VmStart): string => {
  const size = `id=mem,size=${ramMB}M`;
  if (start.kind === 'boot') return `memory-backend-ram,${size}`;
  if (start.kind === 'template') return `memory-backend-file,${size},mem-path=/disks/ram,share=on`;
  return `memory-backend-file,${size},mem-path=/proc/self/fd/${RAM_FD},share=off`;
};

/**
 * The size of a disk as the guest sees it: more than any image or writable layer, because the guest's kernel reads it only once.
 * QEMU refuses access behind the end of the file that is attached.
 */
const DISK_BYTES = 2 ** 41;
/** QEMU's names of the two disks, and of what is attached to them while it is no file: nothing, which reads as zeros. */
export const diskNode = (index: number): string => `disk${index}`;
export const emptyNode = (index: number): string => `empty${index}`;

const disk = (index: number, serial: string, readOnly: boolean): string[] => {
  const mode = `read-only=${readOnly ? 'on' : 'off'}`;
  return [
    '-blockdev',
    `driver=null-co,node-name=${emptyNode(index)},size=${DISK_BYTES},read-zeroes=on,${mode}`,
    '-blockdev',
    `driver=raw,node-name=${diskNode(index)},file=${emptyNode(index)},${mode}`,
    '-device',
    // Report a failed write as an error in the guest. By default a full disk would pause the VM.
    `virtio-blk-device,drive=${diskNode(index)},serial=${serial},werror=report,rerror=report`,
  ];
};

const socket = (id: string, fd: number): string[] => [
  '-chardev',
  `socket,id=${id},fd=${fd},server=on,wait=off`,
];

const beginning = (start: VmStart): string[] =>
  start.kind === 'clone'
    ? ['-incoming', 'defer']
    : ['-kernel', '/boot/vmlinux', '-initrd', '/boot/initramfs.cpio', '-append', kernelLine(start.tscKhz)];

/** The command line of a utility VM, with paths inside the worker's jail. */
export const qemuArguments = (
  vmId: string,
  processName: string,
  shape: VmShape,
  start: VmStart,
): string[] => [
  QEMU,
  '-name',
  `guest=${vmId},process=${processName}`,
  ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
  ...['-global', 'virtio-mmio.force-legacy=false'],
  ...['-M', 'microvm,rtc=on,acpi=on,memory-backend=mem'],
  ...['-accel', shape.accelerator === 'kvm' ? 'kvm' : `tcg,tb-size=${TRANSLATION_BUFFER_MB}`],
  ...['-cpu', shape.accelerator === 'kvm' ? 'host' : 'qemu64,+arat'],
  ...['-smp', String(shape.cpus), '-m', String(shape.ramMB)],
  ...['-object', memory(shape, start)],
  ...socket('channel', CHANNEL_FD),
  ...['-device', 'virtio-serial-device', '-device', 'virtserialport,chardev=channel,name=agent'],
  ...disk(0, 'image', true),
  ...disk(1, 'scratch', false),
  ...['-netdev', `tap,id=net0,fd=${TAP_FD}`, '-device', 'virtio-net-device,netdev=net0'],
  ...socket('qmp', QMP_FD),
  ...['-mon', 'chardev=qmp,mode=control'],
  ...socket('console', CONSOLE_FD),
  ...['-serial', 'chardev:console'],
  ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ...beginning(start),
];
