import { itemsOf, ProblemError } from '../../core/client/index.ts';
import type { Image, ImageSummary } from '../../core/contract/image.ts';
import type { Bridge } from './bridge.ts';
import { DockerError } from './errors.ts';

/** The name with a tag: docker shows no image without one. */
export const tagged = (name: string): string => (/:[^/]+$/.test(name) ? name : `${name}:latest`);

/** The name without its tag. */
export const repositoryOf = (name: string): string => tagged(name).replace(/:[^/:]*$/, '');

export const allImages = async (bridge: Bridge): Promise<ImageSummary[]> => {
  const images: ImageSummary[] = [];
  for await (const image of itemsOf(bridge.client, 'listImages', { query: { limit: '200' } }))
    images.push(image);
  return images;
};

const NONE = ['not-found', 'validation-failed'];

const byName = async (bridge: Bridge, name: string): Promise<Image | undefined> => {
  try {
    return await bridge.client.call('getImage', { params: { name } });
  } catch (error) {
    if (error instanceof ProblemError && NONE.includes(error.code)) return undefined;
    throw error;
  }
};

/** `docker.io/library/alpine` is `alpine`. */
const short = (name: string): string => name.replace(/^docker\.io\/(library\/)?/, '');

/** A digest, or the beginning of one. */
const ID = /^(?:sha256:)?([0-9a-f]{4,64})$/;

/**
 * An image by its name with or without the tag `latest`, by `name@digest`, or by its id or a prefix of it, as in docker.
 * @returns undefined if there is none
 * @throws {DockerError} if several images have that prefix
 */
export const findImage = async (bridge: Bridge, reference: string): Promise<ImageSummary | undefined> => {
  const [name = '', digest] = short(reference).split('@', 2);
  const candidates = [
    name,
    ...(name.endsWith(':latest') ? [name.slice(0, -':latest'.length)] : [tagged(name)]),
  ];
  for (const candidate of new Set(candidates)) {
    const image = ID.test(reference) ? undefined : await byName(bridge, candidate);
    if (image !== undefined && (digest === undefined || image.digest === digest)) return image;
  }
  const [, id] = ID.exec(digest ?? reference) ?? [];
  if (id === undefined) return undefined;
  const isNamed = (image: ImageSummary): boolean =>
    digest === undefined || repositoryOf(image.name) === repositoryOf(name);
  const found = (await allImages(bridge)).filter(
    (image) => image.digest.startsWith(`sha256:${id}`) && isNamed(image),
  );
  if (new Set(found.map((image) => image.digest)).size > 1)
    throw new DockerError(400, `Multiple images found with the prefix ${id}. Use more of the id.`);
  // A hexadecimal word can also be a name.
  return found[0] ?? (digest === undefined ? byName(bridge, name) : undefined);
};

/** @throws {DockerError} if there is no such image */
export const imageOf = async (bridge: Bridge, reference: string): Promise<ImageSummary> => {
  const image = await findImage(bridge, reference);
  if (image === undefined) throw new DockerError(404, `No such image: ${reference}`);
  return image;
};

/** An image with its configuration, if it still exists. */
export const readImage = (bridge: Bridge, { name }: { readonly name: string }): Promise<Image | undefined> =>
  byName(bridge, name);

/** @param platform `linux/amd64` or `linux`. @throws {DockerError} if the image is for another */
export const checkPlatform = (image: ImageSummary, platform: string): void => {
  const [os, architecture] = platform.toLowerCase().split('/');
  if (os === image.os && (architecture === undefined || architecture === image.architecture)) return;
  throw new DockerError(
    404,
    `image with reference ${image.name} was found but does not match the specified platform: ` +
      `wanted ${platform}, actual: ${image.os}/${image.architecture}`,
  );
};
