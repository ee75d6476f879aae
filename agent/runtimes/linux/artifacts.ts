import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';

/**
 * What the set-up makes for utility VMs and process containers, once a machine: a folder that nothing writes to
 * afterwards, so that several agents may share it.
 */
export const MANIFEST = 'manifest.json';

const FileSchema = z.strictObject({ path: z.string(), sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)) });
const ManifestSchema = z.strictObject({
  /** Of everything that the artifacts are made from. */
  stamp: z.string(),
  kernelRelease: z.string(),
  /** Uncompressed, as QEMU starts it by its PVH entry. */
  vmlinux: FileSchema,
  initramfs: FileSchema,
  /** The host's helper (`agent/runtimes/linux/helper`). */
  helper: FileSchema,
  /** What a cloned QEMU loads first (`agent/runtimes/linux/preload`). */
  preload: FileSchema,
  /** The image `mini`: a squashfs of busybox. */
  mini: FileSchema,
});
export type ArtifactManifest = z.infer<typeof ManifestSchema>;

export interface Artifacts {
  readonly folder: string;
  readonly manifest: ArtifactManifest;
  readonly vmlinux: string;
  readonly initramfs: string;
  readonly helper: string;
  readonly preload: string;
  readonly mini: string;
}

/** The artifacts of a folder; null where the set-up has not been, or not with this version's manifest. */
export const readArtifacts = async (folder: string): Promise<Artifacts | null> => {
  const text = await readFile(join(folder, MANIFEST), 'utf8').catch(() => null);
  if (text === null) return null;
  const parsed = ManifestSchema.safeParse(JSON.parse(text));
  if (!parsed.success) return null;
  const manifest = parsed.data;
  const at = (file: { path: string }) => join(folder, file.path);
  return {
    folder,
    manifest,
    vmlinux: at(manifest.vmlinux),
    initramfs: at(manifest.initramfs),
    helper: at(manifest.helper),
    preload: at(manifest.preload),
    mini: at(manifest.mini),
  };
};
