import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ImageFacts } from '../../../../core/contract/image.ts';
import { RuntimeError } from '../../../errors.ts';
import type { Artifacts } from '../artifacts.ts';
import type { LinuxDeps } from '../deps.ts';
import { readRecord, removeFolder, writeRecord } from '../files.ts';
import { runOrFail } from '../run-command.ts';
import { makeErofsCopy } from './erofs-copy.ts';
import { DIGEST_RECORD, type ImageRecord, ImageRecordFormat, NAME_RECORD } from './image-record.ts';

const MINI = 'mini';

export const miniDigest = ({ manifest }: Artifacts): string => `sha256:${manifest.mini.sha256}`;

const MINI_CONFIG: ImageRecord['defaults'] = {
  entrypoint: [],
  command: ['/bin/sh'],
  env: [],
  workingDir: '/',
  user: '',
  stopSignal: '',
};

/** `repository:latest` and `repository` are the same image, and names ignore case. */
const keyOf = (name: string): string =>
  createHash('sha256')
    .update(name.toLowerCase().replace(/:latest$/, ''))
    .digest('hex')
    .slice(0, 32);

/** Formats of images for Default containers, the preferred one first. */
export const IMAGE_FORMATS = ['squashfs', 'erofs'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** An image that can be mounted for Default containers. */
export interface MountableImage {
  readonly file: string;
  readonly format: ImageFormat;
  readonly mountPoint: string;
}

const SQUASHFS = '.squashfs';
const EROFS = '.erofs';

/**
 * The images of this host. Each image is a squashfs that is named after its digest, with a record, and a record for each name.
 * A name can be moved to another digest. A container keeps using the digest that it was created from. The digest's files are removed
 * once no name and no container uses it. If the kernel can't mount a squashfs for user namespaces, the store creates an erofs copy when the
 * first Default container needs it.
 */
export class ImageStore {
  readonly #deps: LinuxDeps;
  /** Copies that are being created, by digest. */
  readonly #copies = new Map<string, Promise<void>>();
  #format: ImageFormat | null = null;

  constructor(deps: LinuxDeps) {
    this.#deps = deps;
  }

  /** Adds `mini` to the store. */
  async prepare(): Promise<void> {
    const { artifacts, layout } = this.#deps;
    await mkdir(layout.images, { recursive: true, mode: 0o755 });
    const digest = miniDigest(artifacts);
    const facts: ImageFacts = {
      name: MINI,
      version: '1',
      os: 'linux',
      osBuild: 0,
      architecture: 'amd64',
      source: 'busybox-static of this machine',
      digest,
      config: MINI_CONFIG,
    };
    const record = await readRecord(this.#digestPath(digest), ImageRecordFormat);
    if (record !== null && (await this.find(MINI))?.facts.digest === digest) return;
    const partial = join(layout.images, `${this.#deps.newId()}.new`);
    await copyFile(artifacts.mini, partial);
    await this.add(partial, { facts, defaults: MINI_CONFIG });
  }

  async list(): Promise<ImageRecord[]> {
    const names = (await readdir(this.#deps.layout.images).catch(() => [])).filter((name) =>
      name.endsWith(NAME_RECORD),
    );
    const records = await Promise.all(
      names.map((name) => readRecord(join(this.#deps.layout.images, name), ImageRecordFormat)),
    );
    return records.filter((record) => record !== null);
  }

  find(name: string): Promise<ImageRecord | null> {
    return readRecord(this.#recordPath(name), ImageRecordFormat);
  }

  /** @throws {RuntimeError} `image-not-found` */
  async get(name: string): Promise<ImageRecord> {
    const record = await this.find(name);
    if (record) return record;
    throw new RuntimeError('image-not-found', `This host has no image ${name}`);
  }

  /** @throws {RuntimeError} `image-not-found` */
  async byDigest(digest: string): Promise<ImageRecord> {
    const record = await readRecord(this.#digestPath(digest), ImageRecordFormat);
    if (record) return record;
    throw new RuntimeError('image-not-found', 'The image of the container no longer exists on this host');
  }

  /** The path of a digest's squashfs. */
  squashfs(digest: string): string {
    return this.#path(digest, SQUASHFS);
  }

  /** Sets the format that this machine's kernel can mount for user namespaces; null if it supports none. */
  useFormat(format: ImageFormat | null): void {
    this.#format = format;
  }

  /**
   * Returns the image in the format for Default containers on this host.
   * @throws {RuntimeError} `step-failed` if the kernel can't mount any format for a user namespace
   */
  async mountable(digest: string): Promise<MountableImage> {
    const format = this.#format;
    if (format === null)
      throw new RuntimeError(
        'step-failed',
        'This host can’t run a Default container in its own user namespace',
        {
          suggestion: 'Run the container as HyperV, or on a host with Linux 6.2, or 5.19 with erofs-utils.',
        },
      );
    const mountPoint = this.#mountPoint(digest, format);
    if (format === 'squashfs') return { file: this.squashfs(digest), format, mountPoint };
    const file = this.#path(digest, EROFS);
    const copy = this.#copies.get(digest) ?? this.#copyUnlessThere(digest, file);
    this.#copies.set(digest, copy);
    try {
      await copy;
    } finally {
      this.#copies.delete(digest);
    }
    return { file, format, mountPoint };
  }

  async #copyUnlessThere(digest: string, file: string): Promise<void> {
    const names = await readdir(this.#deps.layout.images);
    if (!names.includes(basename(file))) await makeErofsCopy(this.#deps, this.squashfs(digest), file);
  }

  /** Moves a squashfs into the store. */
  async add(path: string, record: ImageRecord): Promise<void> {
    // Worker processes read it, each as a different user.
    await chmod(path, 0o644);
    await rename(path, this.squashfs(record.facts.digest));
    await writeRecord(this.#digestPath(record.facts.digest), ImageRecordFormat, record, true);
    await writeRecord(this.#recordPath(record.facts.name), ImageRecordFormat, record, true);
  }

  /** Removes the name. {@link collect} removes the file. */
  async remove(name: string): Promise<void> {
    await this.get(name);
    await rm(this.#recordPath(name), { force: true });
  }

  /**
   * Removes the files of digests without a name, except the digest of `mini`, which utility VMs use for rehearsals.
   * @param isUsed whether a container uses the digest
   * @returns the removed paths
   */
  async collect(isUsed: (digest: string) => Promise<boolean>): Promise<string[]> {
    const removed: string[] = [];
    const named = new Set((await this.list()).map(({ facts }) => facts.digest));
    named.add(miniDigest(this.#deps.artifacts));
    const files = (await readdir(this.#deps.layout.images)).filter((name) => name.endsWith(DIGEST_RECORD));
    for (const name of files) {
      const digest = `sha256:${name.slice(0, -DIGEST_RECORD.length)}`;
      if (named.has(digest) || (await isUsed(digest))) continue;
      await this.unmount(digest);
      await rm(this.#digestPath(digest), { force: true });
      for (const file of [this.squashfs(digest), this.#path(digest, EROFS)]) await rm(file, { force: true });
      removed.push(this.squashfs(digest));
    }
    return removed;
  }

  async unmount(digest: string): Promise<void> {
    const points = IMAGE_FORMATS.map((format) => this.#mountPoint(digest, format));
    await runOrFail('The image could not be unmounted', this.#deps.artifacts.helper, [
      'unmount-layers',
      ...points,
    ]);
    for (const point of points) await removeFolder(point);
  }

  /** Unmounts all images. Running containers keep the mounts they use. */
  async unmountAll(): Promise<void> {
    for (const name of await readdir(this.#deps.layout.runImages).catch(() => [])) {
      const point = join(this.#deps.layout.runImages, name);
      await runOrFail('The image could not be unmounted', this.#deps.artifacts.helper, [
        'unmount-layers',
        point,
      ]);
    }
  }

  #mountPoint(digest: string, format: ImageFormat): string {
    const name = digest.replace('sha256:', '').slice(0, 16);
    return join(this.#deps.layout.runImages, format === 'squashfs' ? name : `${name}.${format}`);
  }
  #path(digest: string, ending: string): string {
    return join(this.#deps.layout.images, `${digest.replace('sha256:', '')}${ending}`);
  }
  #digestPath(digest: string): string {
    return this.#path(digest, DIGEST_RECORD);
  }
  #recordPath(name: string): string {
    return join(this.#deps.layout.images, `${keyOf(name)}${NAME_RECORD}`);
  }
}
