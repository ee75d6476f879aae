import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';

/**
 * The files that the set-up builds for utility VMs and process containers, once per machine. The folder does not change
 * afterwards, so several agents can share it.
 */
export const MANIFEST = 'manifest.json';

const FileSchema = z.strictObject({ path: z.string(), sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)) });
const ManifestSchema = z.strictObject({
  /** Digest of all inputs of the artifacts. */
  stamp: z.string(),
  kernelRelease: z.string(),
  /** Uncompressed, because QEMU starts it through its PVH entry. */
  vmlinux: FileSchema,
  initramfs: FileSchema,
  /** The helper for the host (`agent/runtimes/linux/helper`). */
  helper: FileSchema,
  /** The library that a cloned QEMU preloads (`agent/runtimes/linux/preload`). */
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

/** Reads the artifacts of a folder; null if the set-up has not run, or if its manifest has another version. */
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
