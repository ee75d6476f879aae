import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface TarEntry {
  readonly name: string;
  /** As in a tar header: `0` file, `1` hard link, `2` symbolic link, `3` and `4` character and block device, `5` folder. */
  readonly kind?: '0' | '1' | '2' | '3' | '4' | '5';
  readonly device?: readonly [major: number, minor: number];
  /** Extended attributes. */
  readonly attributes?: Readonly<Record<string, Buffer>>;
  readonly link?: string;
  readonly content?: Buffer;
  readonly mode?: number;
}

const BLOCK = 512;
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');

/** Built by hand, because tar does not create hostile archives. */
const tarHeader = (
  { name, link = '', content = Buffer.alloc(0), mode = 0o755, device = [0, 0] }: TarEntry,
  kind: string,
): Buffer => {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write(`${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100);
  header.write(`${octal(content.length, 11)}\0${octal(0, 11)}\0        ${kind}${link}`, 124);
  header.write('ustar\x0000', 257);
  header.write(`${octal(device[0], 7)}\0${octal(device[1], 7)}\0`, 329);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
};
/** A record of a pax header. Its length includes the digits of the length. */
const paxRecord = (key: string, value: Buffer): Buffer => {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  const digits = String(rest.length + String(rest.length).length).length;
  return Buffer.concat([Buffer.from(String(rest.length + digits)), rest]);
};
const paxHeader = (attributes: Readonly<Record<string, Buffer>>): Buffer => {
  const records = Object.entries(attributes).map(([key, value]) => paxRecord(`SCHILY.xattr.${key}`, value));
  return tarHeader({ name: 'pax', content: Buffer.concat(records) }, 'x');
};

const tarEntry = (entry: TarEntry): Buffer =>
  Buffer.concat([
    entry.attributes === undefined ? Buffer.alloc(0) : paxHeader(entry.attributes),
    tarHeader(entry, entry.kind ?? '0'),
  ]);
export const tar = (entries: readonly TarEntry[]): Buffer =>
  Buffer.concat([...entries.map(tarEntry), Buffer.alloc(2 * BLOCK)]);

/** A layer with a shell, and a file that distinguishes images. */
export const busyboxLayer = (mark: string): Buffer =>
  tar([
    { name: 'bin/', kind: '5' },
    { name: 'bin/busybox', content: readFileSync('/bin/busybox') },
    ...['sh', 'cat', 'sleep'].map((name) => ({ name: `bin/${name}`, kind: '2' as const, link: 'busybox' })),
    // No entry creates its folder.
    { name: 'deep/er/file', content: Buffer.from('deep'), mode: 0o644 },
    { name: 'mark', content: Buffer.from(mark), mode: 0o644 },
  ]);

export interface ImageParts {
  readonly layers: readonly Buffer[];
  /** `Entrypoint`, `Cmd`, `Env`, … */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
}

const configOf = ({ layers, config = {}, architecture = 'amd64' }: ImageParts): Buffer =>
  Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    }),
  );

const MEDIA = 'application/vnd.oci.image';

/** The files of an OCI layout, and the digest of the image's manifest. Layers are compressed with gzip. */
export const ociLayout = (parts: ImageParts): { files: ReadonlyMap<string, Buffer>; digest: string } => {
  const files = new Map<string, Buffer>();
  const blob = (mediaType: string, data: Buffer) => {
    files.set(`blobs/sha256/${sha256(data)}`, data);
    return { mediaType, digest: `sha256:${sha256(data)}`, size: data.length };
  };
  const layers = parts.layers.map((layer) => blob(`${MEDIA}.layer.v1.tar+gzip`, gzipSync(layer)));
  const config = blob(`${MEDIA}.config.v1+json`, configOf(parts));
  const document = { schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json`, config, layers };
  const manifest = blob(`${MEDIA}.manifest.v1+json`, Buffer.from(JSON.stringify(document)));
  files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [manifest] })));
  files.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  return { files, digest: manifest.digest };
};

/** Writes an OCI layout into a new folder. Returns the manifest's digest. */
export const writeLayout = (folder: string, parts: ImageParts): string => {
  const { files, digest } = ociLayout(parts);
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  for (const [name, data] of files) writeFileSync(join(folder, name), data);
  return digest;
};

/** Writes an OCI layout as a tar archive. Returns the manifest's digest. */
export const writeLayoutArchive = (path: string, parts: ImageParts): string => {
  const { files, digest } = ociLayout(parts);
  writeFileSync(path, tar([...files].map(([name, content]) => ({ name, content }))));
  return digest;
};

/** Writes an archive like `docker save`. Returns the image's id: the digest of its configuration. */
export const writeDockerArchive = (path: string, parts: ImageParts): string => {
  const config = configOf(parts);
  const id = sha256(config);
  const layers = parts.layers.map((layer) => ({ name: `${sha256(layer)}/layer.tar`, content: layer }));
  const manifest = [{ Config: `${id}.json`, RepoTags: ['saved:1'], Layers: layers.map(({ name }) => name) }];
  writeFileSync(
    path,
    tar([
      { name: `${id}.json`, content: config },
      ...layers,
      { name: 'manifest.json', content: Buffer.from(JSON.stringify(manifest)) },
    ]),
  );
  return `sha256:${id}`;
};
