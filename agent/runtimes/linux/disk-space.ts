import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { LEGACY_DISK_MB } from '../../../core/contract/primitives.ts';
import { MIB } from '../../units.ts';
import type { ContainerRecords } from './container/records.ts';
import { containerPaths, type Layout } from './layout.ts';

/** Journal, records and logs of the agent itself, and what file systems need to work well, in MiB. */
const AGENT_RESERVE_MB = 512;
/** The part of the disk that is for images, imports included; at least what the images take already. */
const IMAGE_SHARE = 0.25;
/** More than this is of no use to images, in MiB. */
const MAX_FOR_IMAGES_MB = 64 * 1024;
/** The capacity is rounded down to this, so that a restarted agent mostly reports what it did before. */
const STEP_MB = 256;

export interface DiskShares {
  /** What containers may reserve in all: their layers, logs and records. */
  readonly containersMB: number;
  /** What images may take in all, with what an import needs while it goes on. */
  readonly imagesMB: number;
}

interface DiskUse {
  readonly freeMB: number;
  /** Disk that containers which count against the capacity have allocated. */
  readonly containersMB: number;
  /** How much the layers from before disks were counted may still grow. */
  readonly legacyGrowthMB: number;
  readonly imagesMB: number;
  /** The most that templates of utility VMs may take, less what they take now. */
  readonly templateGrowthMB: number;
}

/**
 * Divides the file system of the state folder. What containers hold already is theirs: it is part of the capacity, so
 * that capacity less reservations is what is really free. A layer from before disks were counted is not reserved by
 * anybody, so all that it may grow to is taken off the capacity instead.
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

/** Bytes that the files of a folder have allocated; 0 where there is none. */
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

/** Looks at what the state folder's file system has and holds. */
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
