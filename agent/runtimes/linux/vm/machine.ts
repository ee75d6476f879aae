import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Artifacts } from '../artifacts.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import { QEMU, qemuArguments, type VmShape } from './qemu-arguments.ts';

/** Properties of this machine that a saved VM depends on. */
export interface HostMachine {
  readonly qemuVersion: string;
  readonly kernel: string;
  readonly cpuModel: string;
  /** Rate of the time stamp counter, which is also visible to emulated guests. */
  readonly tscKhz: number;
}

/** Reads the rate from the kernel log, where the kernel writes it at boot. Falls back to the nominal rate. */
const readTscKhz = async (cpuinfo: string): Promise<number> => {
  const log = await runCommand('dmesg', []).catch(() => ({ stdout: '' }));
  const measured = /tsc: Detected ([0-9.]+) MHz/.exec(log.stdout)?.[1];
  const nominal = /^cpu MHz\s*: ([0-9.]+)/m.exec(cpuinfo)?.[1];
  return Math.round(Number(measured ?? nominal ?? 0) * 1000);
};

export const describeMachine = async (): Promise<HostMachine> => {
  const cpuinfo = await readFile('/proc/cpuinfo', 'utf8');
  const version = await runOrFail('QEMU could not be run', QEMU, ['--version']);
  return {
    qemuVersion: version.split('\n')[0] ?? '',
    kernel: (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim(),
    cpuModel: /^model name\s*: (.*)$/m.exec(cpuinfo)?.[1] ?? '',
    tscKhz: await readTscKhz(cpuinfo),
  };
};

const GENERATION = 16;
const digest = (values: readonly unknown[]) =>
  createHash('sha256').update(JSON.stringify(values)).digest('hex');

/** Devices and kernel parameters that do not depend on the shape. */
const ARGUMENTS = qemuArguments(
  '',
  '',
  { ramMB: 0, cpus: 0, accelerator: 'tcg' },
  { kind: 'template', tscKhz: 0 },
);

/** `<generation>-<accelerator>-<RAM>-<CPUs>`: the first part changes when no older template can be used. */
export const templateKey = (machine: HostMachine, { manifest }: Artifacts, shape: VmShape): string => {
  const generation = digest([
    machine,
    ARGUMENTS,
    manifest.vmlinux.sha256,
    manifest.initramfs.sha256,
    manifest.mini.sha256,
  ]);
  return `${generation.slice(0, GENERATION)}-${shape.accelerator}-${shape.ramMB}-${shape.cpus}`;
};
