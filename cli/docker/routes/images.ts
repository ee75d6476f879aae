import type { ImageSummary } from '../../../core/contract/image.ts';
import { DockerError } from '../errors.ts';
import { allImages, checkPlatform, findImage, imageOf, readImage, repositoryOf, tagged } from '../images.ts';
import { imageConfig } from '../translate/containers.ts';
import { checkFilters, type Filters, onlyValue, parseFilters } from '../translate/filters.ts';
import { createdSeconds } from '../translate/time.ts';
import { type Handle, route } from './route.ts';

/** docker treats a reference as a pattern of the name, with or without a tag. */
const matchesReference = (image: ImageSummary, wanted: string): boolean => {
  const name = tagged(image.name).toLowerCase();
  const [bare = ''] = name.split(/:(?=[^/]*$)/);
  const pattern = wanted
    .toLowerCase()
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const expression = new RegExp(`^${pattern}$`);
  return [name, bare].some((one) => expression.test(one));
};

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

/** Every image has a name, so none is dangling. */
const isDanglingWanted = (filters: Filters): boolean => {
  const value = onlyValue(filters, 'dangling');
  if (value === undefined) return false;
  const wanted = BOOLEANS[value.toLowerCase()];
  if (wanted === undefined) throw new DockerError(400, `invalid filter 'dangling=${value}'`);
  return wanted;
};

/** `alpine@sha256:…` */
const repoDigest = ({ name, digest }: ImageSummary): string => `${repositoryOf(name)}@${digest}`;

const list: Handle = async ({ bridge }, exchange) => {
  const filters = parseFilters(exchange.query.get('filters'));
  checkFilters(filters, ['reference', 'dangling', 'before', 'since', 'label']);
  // Of clients before 1.41.
  const own = exchange.query.get('filter') ?? '';
  const references = [...(filters.reference ?? []), ...(own === '' ? [] : [own])];
  const createdOf = async (name: 'before' | 'since'): Promise<number | undefined> => {
    const reference = onlyValue(filters, name);
    return reference === undefined ? undefined : Date.parse((await imageOf(bridge, reference)).createdAt);
  };
  const [before, since] = [await createdOf('before'), await createdOf('since')];
  const isShown = (image: ImageSummary): boolean => {
    const created = Date.parse(image.createdAt);
    return (
      !isDanglingWanted(filters) &&
      // The catalogue has no labels of images.
      filters.label === undefined &&
      (before === undefined || created < before) &&
      (since === undefined || created > since) &&
      (references.length === 0 || references.some((wanted) => matchesReference(image, wanted)))
    );
  };
  const byDigest = new Map<string, ImageSummary[]>();
  for (const image of (await allImages(bridge)).filter(isShown))
    byDigest.set(image.digest, [...(byDigest.get(image.digest) ?? []), image]);
  // As in docker, an image with several names is listed once.
  const shown = [...byDigest.entries()].map(([digest, images]) => ({
    Id: digest,
    RepoTags: images.map(({ name }) => tagged(name)),
    RepoDigests: images.map(repoDigest),
    Created: Math.max(...images.map(createdSeconds)),
    Size: 0,
    SharedSize: -1,
    Containers: -1,
    Labels: {},
    ParentId: '',
  }));
  exchange.json(
    200,
    shown.sort((a, b) => b.Created - a.Created),
  );
};

const inspect: Handle = async ({ bridge }, exchange) => {
  const image = await imageOf(bridge, exchange.params.name ?? '');
  const names = (await allImages(bridge)).filter(({ digest }) => digest === image.digest);
  exchange.json(200, {
    Id: image.digest,
    RepoTags: names.map(({ name }) => tagged(name)),
    RepoDigests: names.map(repoDigest),
    Parent: '',
    Comment: '',
    Author: '',
    Created: image.createdAt,
    Architecture: image.architecture,
    Os: image.os,
    ...(image.osBuild === 0 ? {} : { OsVersion: `10.0.${image.osBuild}` }),
    Size: 0,
    Config: imageConfig((await readImage(bridge, image))?.config ?? null),
    GraphDriver: { Name: 'bulkhead', Data: null },
    RootFS: { Type: 'layers', Layers: [image.digest] },
  });
};

/** `docker pull`, which docker also sends before `run`. Succeeds if the catalogue has the image; nothing is fetched. */
const pull: Handle = async ({ bridge }, exchange) => {
  const { query } = exchange;
  const name = query.get('fromImage') ?? '';
  if (name === '') throw new DockerError(400, 'fromImage is missing');
  const tag = query.get('tag') ?? '';
  const reference = tag === '' ? name : `${name}${tag.includes(':') ? '@' : ':'}${tag}`;
  const image = await findImage(bridge, reference);
  if (image === undefined)
    throw new DockerError(
      404,
      `Bulkhead does not pull images, and no host has "${reference}". Import it on a host: bulkhead image import.`,
    );
  const platform = query.get('platform') ?? '';
  if (platform !== '') checkPlatform(image, platform);
  const [repository = '', version = ''] = tagged(image.name).split(/:(?=[^/]*$)/);
  const write = exchange.stream('application/json');
  const lines = [
    { status: `Pulling from ${repository}`, id: version },
    { status: 'Already exists', progressDetail: {}, id: image.digest.slice('sha256:'.length).slice(0, 12) },
    { status: `Digest: ${image.digest}` },
    { status: `Status: Image is up to date for ${tagged(image.name)}` },
  ];
  for (const line of lines) await write(`${JSON.stringify(line)}\r\n`);
};

const remove: Handle = async ({ bridge }, exchange) => {
  const image = await imageOf(bridge, exchange.params.name ?? '');
  await bridge.client.call('removeImage', { params: { name: image.name } });
  exchange.json(200, [{ Untagged: tagged(image.name) }, { Deleted: image.digest }]);
};

export const IMAGE_ROUTES = [
  // No image has intermediate layers, and no size is known, so `all` and `shared-size` change nothing.
  route('GET', '/images/json', list, { manifests: '--tree' }),
  route('POST', '/images/create', pull, { fromSrc: 'docker import', changes: '--change' }),
  route('GET', '/images/{name+}/json', inspect, { manifests: '--manifests' }),
  // An image that a container uses is refused by the API in any case, and there are no untagged parents.
  route('DELETE', '/images/{name+}', remove),
];
