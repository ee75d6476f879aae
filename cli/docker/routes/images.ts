import { itemsOf, ProblemError } from '../../../core/client/index.ts';
import type { Image, ImageSummary } from '../../../core/contract/image.ts';
import type { Bridge } from '../bridge.ts';
import { DockerError } from '../errors.ts';
import { checkFilters, parseFilters } from '../translate/filters.ts';
import { type Handle, route } from './route.ts';

const seconds = ({ createdAt }: ImageSummary): number => Math.floor(Date.parse(createdAt) / 1000);

/** The name with a tag: docker shows no image without one. */
const tagged = (name: string): string => (/:[^/]+$/.test(name) ? name : `${name}:latest`);

const imageOf = async (bridge: Bridge, name: string): Promise<Image> => {
  for (const candidate of [name, name.replace(/:latest$/, '')])
    try {
      return await bridge.client.call('getImage', { params: { name: candidate } });
    } catch (error) {
      if (!(error instanceof ProblemError && ['not-found', 'validation-failed'].includes(error.code)))
        throw error;
    }
  throw new DockerError(404, `No such image: ${name}`);
};

const list: Handle = async ({ bridge }, exchange) => {
  const filters = parseFilters(exchange.query.get('filters'));
  checkFilters(filters, ['reference']);
  const wanted = filters.reference?.map((one) => tagged(one.toLowerCase()));
  const images: object[] = [];
  for await (const image of itemsOf(bridge.client, 'listImages', { query: { limit: '200' } })) {
    const tag = tagged(image.name);
    if (wanted !== undefined && !wanted.includes(tag.toLowerCase())) continue;
    images.push({
      Id: image.digest,
      RepoTags: [tag],
      RepoDigests: [],
      Created: seconds(image),
      Size: 0,
      SharedSize: -1,
      Containers: -1,
      Labels: {},
      ParentId: '',
    });
  }
  exchange.json(200, images);
};

const configOf = ({ config }: Image) =>
  config === null
    ? {}
    : {
        Entrypoint: config.entrypoint.length === 0 ? null : config.entrypoint,
        Cmd: config.command.length === 0 ? null : config.command,
        Env: config.env,
        WorkingDir: config.workingDir,
        User: config.user,
        ...(config.stopSignal === '' ? {} : { StopSignal: config.stopSignal }),
      };

const inspect: Handle = async ({ bridge }, exchange) => {
  const image = await imageOf(bridge, exchange.params.name ?? '');
  exchange.json(200, {
    Id: image.digest,
    RepoTags: [tagged(image.name)],
    RepoDigests: [],
    Created: image.createdAt,
    Architecture: image.architecture,
    Os: image.os,
    ...(image.osBuild === 0 ? {} : { OsVersion: `10.0.${image.osBuild}` }),
    Size: 0,
    Config: configOf(image),
    RootFS: { Type: 'layers', Layers: [image.digest] },
  });
};

/** `docker pull`, which docker also sends before `run`. Succeeds if the catalogue has the image; nothing is fetched. */
const pull: Handle = async ({ bridge }, exchange) => {
  const name = exchange.query.get('fromImage') ?? '';
  if (name === '')
    throw new DockerError(501, 'docker import is not supported by Bulkhead: use bulkhead image import.');
  const tag = exchange.query.get('tag') ?? '';
  const reference = tag === '' ? name : `${name}${tag.includes(':') ? '@' : ':'}${tag}`;
  const short = reference.replace(/^docker\.io\/(library\/)?/, '');
  try {
    await imageOf(bridge, short);
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    throw new DockerError(
      404,
      `Bulkhead does not pull images, and no host has "${short}". Import it on a host: bulkhead image import.`,
    );
  }
  const write = exchange.stream('application/json');
  await write(`${JSON.stringify({ status: `Status: Image is up to date for ${short}` })}\r\n`);
};

const remove: Handle = async ({ bridge }, exchange) => {
  const image = await imageOf(bridge, exchange.params.name ?? '');
  await bridge.client.call('removeImage', { params: { name: image.name } });
  exchange.json(200, [{ Untagged: tagged(image.name) }, { Deleted: image.digest }]);
};

export const IMAGE_ROUTES = [
  route('GET', '/images/json', list),
  route('POST', '/images/create', pull),
  route('GET', '/images/{name+}/json', inspect),
  route('DELETE', '/images/{name+}', remove),
];
