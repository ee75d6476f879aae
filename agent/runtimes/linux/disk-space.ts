import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { LEGACY_DISK_MB } from '../../../core/contract/primitives.ts';
import { MIB } from '../../units.ts';
import type { ContainerRecords } from './container/records.ts';
import { containerPaths, type Layout } from './layout.ts';

/** For the agent's journal, records and logs, and for free space that file systems need, in MiB. */
const AGENT_RESERVE_MB = 512;
/** The share of the disk for images, including imports. If images already use more, their share is what they use. */
const IMAGE_SHARE = 0.25;
/** Upper bound of the images' share, in MiB. */
const MAX_FOR_IMAGES_MB = 64 * 1024;
/** The capacity is rounded down to a multiple of this, so that a restarted agent usually reports the same value. */
const STEP_MB = 256;

export interface DiskShares {
  /** Total that containers can reserve for layers, logs and records. */
  readonly containersMB: number;
  /** Total for images, including the temporary space of an import. */
  readonly imagesMB: number;
}

interface DiskUse {
  readonly freeMB: number;
  /** Allocated by containers that count against the capacity. */
  readonly containersMB: number;
  /** Remaining growth of layers from versions without disk reservations. */
  readonly legacyGrowthMB: number;
  readonly imagesMB: number;
  /** Remaining growth of the utility VM templates. */
  readonly templateGrowthMB: number;
}

/**
 * Divides the file system of the state folder. Disk that containers have allocated is part of the capacity, so that capacity
 * minus reservations is the real free space. A layer from a version without disk reservations is not reserved, so its maximum
 * size is subtracted from the capacity instead.
 */
export const divideDisk = (use: DiskUse): DiskShares => {
  const { freeMB, containersMB, legacyGrowthMB, imagesMB, templateGrowthMB } = use;
  const left = Math.max(0, freeMB - AGENT_RESERVE_MB - legacyGrowthMB - templateGrowthMB);
  const all = left + containersMB + imagesMB;
  const share = Math.min(MAX_FOR_IMAGES_MB, Math.floor(all * IMAGE_SHARE), imagesMB + left);
  const forImages = Math.max(imagesMB, share);
  const forContainers = all - forImages;
  return { containersMB: Math.floor(forContainers / STEP_MB) * STEP_MB, imagesMB: forImages };
};

/** Bytes that the files of a folder have allocated; 0 if the folder does not exist. */
export const allocatedBytes = async (folder: string): Promise<number> => {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (info) => (info.isFile() ? info.blocks * 512 : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
};

const containersUse = async (
  layout: Layout,
  records: ContainerRecords,
): Promise<Pick<DiskUse, 'containersMB' | 'legacyGrowthMB'>> => {
  let counted = 0;
  let growth = 0;
  for (const id of await records.ids()) {
    const allocated = await allocatedBytes(containerPaths(layout, id).folder);
    if ((await records.container(id))?.diskMB !== undefined) counted += allocated;
    else growth += Math.max(0, LEGACY_DISK_MB * MIB - allocated);
  }
  return { containersMB: Math.floor(counted / MIB), legacyGrowthMB: Math.ceil(growth / MIB) };
};

const templatesUse = async (layout: Layout): Promise<number> => {
  const names = await readdir(layout.templates).catch(() => []);
  const sizes = await Promise.all(names.map((name) => allocatedBytes(join(layout.templates, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
};

/** Measures free and used space of the state folder's file system. */
export const measureDisk = async (
  layout: Layout,
  records: ContainerRecords,
  mostForTemplatesMB: number,
): Promise<DiskUse> => {
  const { bavail, bsize } = await statfs(layout.state);
  const templatesMB = Math.floor((await templatesUse(layout)) / MIB);
  return {
    freeMB: Math.floor((bavail * bsize) / MIB),
    ...(await containersUse(layout, records)),
    imagesMB: Math.floor((await allocatedBytes(layout.images)) / MIB),
    templateGrowthMB: Math.max(0, mostForTemplatesMB - templatesMB),
  };
};
