import { mkdir, open, readdir, realpath, rm, stat, symlink, truncate } from 'node:fs/promises';
import { join, sep } from 'node:path';
import * as z from 'zod/mini';
import type { ImageFacts } from '../../../../core/contract/image.ts';
import { RuntimeError } from '../../../errors.ts';
import { MIB } from '../../../units.ts';
import type { ImportImage } from '../../runtime.ts';
import type { LinuxDeps } from '../deps.ts';
import { allocatedBytes } from '../disk-space.ts';
import { runCommand, runOrFail } from '../run-command.ts';
import { checkLayer } from './check-layer.ts';
import { checkLayoutFolder } from './check-layout-folder.ts';
import { reportedConfig } from './image-record.ts';
import type { ImageStore } from './image-store.ts';
import { normalizeArchive } from './normalize-archive.ts';
import { normalizeLayers } from './normalize-layers.ts';
import { type LayoutImage, readConfigDigest, readLayout, requireOneImage } from './oci-layout.ts';
import { type ImageLimits, refuse } from './read-archive.ts';
import { unpackLayout } from './unpack-layout.ts';

const IMAGE_LIMITS: ImageLimits = { bytes: 16 * 1024 * MIB, entries: 500_000 };
/** An import temporarily has three copies of an image: its layers, their files, and the result. */
const COPIES = 3;
/** Overhead of the temporary file system. */
const WORK_BYTES = 256 * MIB;
const LEAST_BYTES = 8 * MIB;
const PROGRAM_TIMEOUT_MS = 15 * 60_000;
/** Folders without an entry in the image's layers are readable by all users, as in other engines. */
const IMAGE_UMASK = 0o022;
/** The image's tag in the working folder. The real name is never part of an argument. */
const TAG = 'image';

/** The image's source, in skopeo's syntax, and its kind. */
interface Source {
  readonly transport: string;
  readonly kind: 'archive' | 'layout' | 'registry';
}

/** An import in progress. */
interface Job {
  /** The folder on the temporary file system. */
  readonly work: string;
  readonly signal: AbortSignal;
}

/**
 * Removes the content of an answer from skopeo's messages. A registry can redirect skopeo to any address that the host reaches,
 * and skopeo shows what an address without an image answers.
 */
export const withoutAnswers = (messages: string): string =>
  messages.replace(/(StatusCode: \d+),.*$/su, '$1').replace(/(response body).*$/su, '$1 not shown');

/** The reason in messages of skopeo or umoci, without their form and without paths of the host. */
export const toReason = (messages: string, work: string): string => {
  const logged = [...messages.matchAll(/level=(?:fatal|error) msg="((?:[^"\\]|\\.)*)"/g)].at(-1)?.[1];
  const marked = /\u2a2f (.*)/u.exec(messages)?.[1];
  return (logged?.replaceAll('\\"', '"') ?? marked ?? messages).replaceAll(`${work}/`, '');
};

const GZIP = 0x1f8b;
const isGzip = async (path: string): Promise<boolean> => {
  const file = await open(path);
  try {
    const magic = Buffer.alloc(2);
    await file.read(magic, 0, 2, 0);
    return magic.readUInt16BE(0) === GZIP;
  } finally {
    await file.close();
  }
};

const ListSchema = z.array(z.unknown());
const parseList = (text: string): readonly unknown[] | null => {
  try {
    return z.parse(ListSchema, JSON.parse(text));
  } catch {
    return null;
  }
};

/** skopeo unpacks archives before it reads them. The unpacked files must be on the import's file system too. */
const temporaryFolderOf = (work: string): string => join(work, 'tmp');
const normalizedFileOf = (work: string): string => join(work, 'normalized.tar');
/** The files of an OCI layout in a tar archive. */
const unpackedFolderOf = (work: string): string => join(work, 'unpacked');

/**
 * Imports images into the store: `docker save` archives, OCI layouts (a folder or a tar archive) and references to a registry.
 * The agent's configuration lists the folders from which images can be imported.
 *
 * The layers of an image are checked before they are unpacked. They are unpacked on a separate file system, so that neither
 * size nor number of files can fill this machine's disk. Images have a share of the disk that containers cannot reserve. The
 * temporary space of an import and its result count against this share. Imports run one at a time.
 */
export class ImageImporter {
  readonly #deps: LinuxDeps;
  readonly #store: ImageStore;
  readonly #allowed: readonly string[];
  readonly #shareMB: number;
  readonly #limits: ImageLimits;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    deps: LinuxDeps,
    store: ImageStore,
    allowed: readonly string[],
    /** Total disk for images, in MiB. */
    shareMB: number,
    limits: ImageLimits = IMAGE_LIMITS,
  ) {
    this.#deps = deps;
    this.#store = store;
    this.#allowed = allowed;
    this.#shareMB = shareMB;
    this.#limits = limits;
  }

  /** @throws {RuntimeError} `validation-failed`, `image-incompatible` or `step-failed` */
  import(request: ImportImage, signal: AbortSignal): Promise<ImageFacts> {
    const imported = this.#turn.then(async () => {
      signal.throwIfAborted();
      return this.#import(request, await this.#limitsNow(), signal);
    });
    this.#turn = imported.catch(() => undefined);
    return imported;
  }

  /** Limits such that archive, files and result of the image fit into the free share. */
  async #limitsNow(): Promise<ImageLimits> {
    const left = this.#shareMB * MIB - (await allocatedBytes(this.#deps.layout.images));
    const bytes = Math.min(this.#limits.bytes, Math.floor((left - WORK_BYTES) / COPIES / MIB) * MIB);
    if (bytes >= LEAST_BYTES) return { ...this.#limits, bytes };
    throw new RuntimeError(
      'step-failed',
      `The host has too little disk space for another image: ${Math.max(0, Math.floor(left / MIB))} MiB of ${this.#shareMB} MiB are free`,
      { suggestion: 'Remove images that no container needs from the host.' },
    );
  }

  async #import(request: ImportImage, limits: ImageLimits, signal: AbortSignal): Promise<ImageFacts> {
    const work = join(this.#deps.layout.state, 'imports', this.#deps.newId());
    const disk = `${work}.ext4`;
    await mkdir(work, { recursive: true, mode: 0o700 });
    try {
      const job = { work, signal };
      await this.#mountDisk(disk, work, limits);
      await mkdir(temporaryFolderOf(work), { mode: 0o700 });
      const source = await this.#locate(request, job, limits);
      const layout = join(work, 'layout');
      await this.#skopeo('The image could not be read', job, [
        ...['--insecure-policy', 'copy', '--quiet', '--override-os', 'linux', '--override-arch', 'amd64'],
        ...[source.transport, `oci:${layout}:${TAG}`],
      ]);
      await rm(unpackedFolderOf(work), { recursive: true, force: true });
      const image = await readLayout(layout);
      const digest = await this.#digestOf(source, image, request, job);
      await rm(normalizedFileOf(work), { force: true });
      this.#check(request, image, digest);
      const totals = { bytes: 0, entries: 0 };
      for (const layer of image.layers) await checkLayer(layer, totals, limits, signal);
      await normalizeLayers(layout, signal);
      return await this.#unpack(request, image, digest, job);
    } finally {
      await runCommand('umount', ['--', work]);
      await rm(work, { recursive: true, force: true });
      await rm(disk, { force: true });
    }
  }

  async #mountDisk(disk: string, work: string, limits: ImageLimits): Promise<void> {
    const file = await open(disk, 'wx', 0o600);
    await file.close();
    await truncate(disk, (COPIES - 1) * limits.bytes + WORK_BYTES);
    const what = 'The file system to unpack the image could not be created';
    await runOrFail(what, 'mkfs.ext4', [
      '-q',
      '-F',
      '-O',
      '^has_journal',
      '-E',
      'lazy_itable_init=1,nodiscard',
      '--',
      disk,
    ]);
    await runOrFail(what, 'mount', ['-o', 'loop,nodev,nosuid,noexec', '--', disk, work]);
  }

  async #locate({ source }: ImportImage, job: Job, limits: ImageLimits): Promise<Source> {
    if ('reference' in source) return this.#pin(source.reference, job);
    const { work, signal } = job;
    const path = await this.#allow(source.path);
    // skopeo interprets some characters of a path, so a link with a safe name is used.
    const link = join(work, 'source');
    await symlink(path, link);
    if ((await stat(path)).isDirectory()) {
      await checkLayoutFolder(path);
      await requireOneImage(path);
      return { transport: `oci:${link}`, kind: 'layout' };
    }
    if (await this.#hasOneImage(link, 'manifest.json', signal)) {
      if (!(await isGzip(path))) return { transport: `docker-archive:${link}`, kind: 'archive' };
      return this.#normalized(path, job, limits);
    }
    const unpacked = unpackedFolderOf(work);
    await unpackLayout(path, unpacked, limits, signal);
    if (await this.#isArchiveWithoutLayout(link, unpacked, signal))
      return this.#normalized(path, job, limits);
    await requireOneImage(unpacked);
    return { transport: `oci:${unpacked}`, kind: 'layout' };
  }

  async #isArchiveWithoutLayout(link: string, unpacked: string, signal: AbortSignal): Promise<boolean> {
    const hasLayout = (await readdir(unpacked)).includes('index.json');
    return !hasLayout && (await this.#hasOneImage(link, './manifest.json', signal));
  }

  async #normalized(path: string, { work, signal }: Job, limits: ImageLimits): Promise<Source> {
    const archive = normalizedFileOf(work);
    await normalizeArchive(path, archive, limits, signal);
    return { transport: `docker-archive:${archive}`, kind: 'archive' };
  }

  /**
   * Whether the archive is one of `docker save`, whose manifest has that name.
   * @throws {RuntimeError} `validation-failed` if it has several images
   */
  async #hasOneImage(archive: string, manifest: string, signal: AbortSignal): Promise<boolean> {
    const { code, stdout } = await runCommand('tar', ['-xOf', archive, '--occurrence=1', manifest], {
      signal,
    });
    if (code !== 0) return false;
    const images = parseList(stdout);
    if (images !== null && images.length !== 1)
      throw refuse(`it has ${images.length} images. Save one image to an archive.`);
    return true;
  }

  /** Resolves the reference to a digest, so that the import is unaffected if the tag moves. */
  async #pin(reference: string, job: Job): Promise<Source> {
    if (reference.includes('@')) return { transport: `docker://${reference}`, kind: 'registry' };
    const said = await this.#skopeo('The image could not be found', job, [
      ...['inspect', '--no-tags', '--override-os', 'linux', '--override-arch', 'amd64'],
      ...['--format', '{{.Digest}}', `docker://${reference}`],
    ]);
    const name = reference.replace(/:[^/:]*$/, '');
    return { transport: `docker://${name}@${said.trim()}`, kind: 'registry' };
  }

  /** Resolves links in the path and checks that it is in an allowed folder. */
  async #allow(path: string): Promise<string> {
    const refused = new RuntimeError(
      'validation-failed',
      'The agent’s configuration does not allow images from this path',
      {
        suggestion:
          this.#allowed.length > 0
            ? `Use a path in: ${this.#allowed.join(', ')}.`
            : 'Start the agent with --image-folder.',
      },
    );
    const real = await realpath(path).catch(() => {
      throw refused;
    });
    const folders = await Promise.all(this.#allowed.map((folder) => realpath(folder).catch(() => null)));
    if (
      folders.some(
        (folder) => folder !== null && real.startsWith(folder.endsWith(sep) ? folder : folder + sep),
      )
    )
      return real;
    throw refused;
  }

  /**
   * An archive of `docker save` has no manifest digest. It is identified by the digest of its configuration, which is the image's
   * id. Copying rewrites the configuration, so the digest is read from the archive.
   */
  async #digestOf(
    source: Source,
    image: LayoutImage,
    { source: asked }: ImportImage,
    job: Job,
  ): Promise<string> {
    if (source.kind === 'archive') {
      const what = 'The image could not be read';
      return readConfigDigest(await this.#skopeo(what, job, ['inspect', '--raw', source.transport]));
    }
    if (source.kind === 'layout') return image.manifestDigest;
    const pinned = /@(sha256:[0-9a-f]{64})$/.exec('reference' in asked ? asked.reference : '')?.[1];
    job.signal.throwIfAborted();
    return pinned ?? source.transport.slice(source.transport.lastIndexOf('@') + 1);
  }

  #check({ digest: wanted }: ImportImage, image: LayoutImage, digest: string): void {
    if (wanted !== undefined && wanted !== digest)
      throw new RuntimeError('validation-failed', `The image has the digest ${digest}, not ${wanted}`);
    if (image.os !== 'linux' || image.architecture !== 'amd64')
      throw new RuntimeError(
        'image-incompatible',
        `The image is for ${image.os}/${image.architecture}; this host runs linux/amd64`,
      );
  }

  async #unpack(
    { name, source }: ImportImage,
    image: LayoutImage,
    digest: string,
    job: Job,
  ): Promise<ImageFacts> {
    const { work } = job;
    const rootfs = join(work, 'rootfs');
    const squashfs = join(this.#deps.layout.images, `${this.#deps.newId()}.new`);
    // Without `raw`, umoci looks up the image's user and refuses to unpack an image with an unknown user.
    const unpack = ['raw', 'unpack', '--image', `${join(work, 'layout')}:${TAG}`, rootfs];
    await this.#run('The image could not be unpacked', job, 'umoci', unpack);
    const options = ['-comp', 'lz4', '-noappend', '-no-progress', '-xattrs'];
    try {
      await this.#run('The image could not be packed', job, 'mksquashfs', [rootfs, squashfs, ...options]);
      const facts: ImageFacts = {
        name,
        version: /:([^/:@]+)$/.exec(name)?.[1] ?? 'latest',
        os: 'linux',
        osBuild: 0,
        architecture: 'amd64',
        source: 'path' in source ? source.path : source.reference,
        digest,
        ...reportedConfig(image.defaults),
      };
      await this.#store.add(squashfs, { facts, defaults: image.defaults });
      return facts;
    } finally {
      await rm(squashfs, { force: true });
    }
  }

  #skopeo(what: string, job: Job, args: readonly string[]): Promise<string> {
    const all = ['--tmpdir', temporaryFolderOf(job.work), ...args];
    return this.#run(what, job, 'skopeo', all);
  }

  #run(what: string, { work, signal }: Job, program: string, args: readonly string[]): Promise<string> {
    return runOrFail(what, program, args, {
      signal,
      redact: (messages) => withoutAnswers(toReason(messages, work)),
      timeoutMs: PROGRAM_TIMEOUT_MS,
      umask: IMAGE_UMASK,
      temporaryFolder: temporaryFolderOf(work),
    });
  }
}
