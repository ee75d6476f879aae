import { unsupported } from '../errors.ts';
import { type BridgeRoute, refusedRoute } from './route.ts';

/** Docker requests that Bulkhead does not support. The error names the docker command. */
const REFUSED: readonly (readonly [method: string, path: string, what: string])[] = [
  ['POST', '/containers/{id}/rename', 'docker rename'],
  ['POST', '/containers/{id}/pause', 'docker pause'],
  ['POST', '/containers/{id}/unpause', 'docker unpause'],
  ['GET', '/containers/{id}/stats', 'docker stats'],
  ['GET', '/containers/{id}/changes', 'docker diff'],
  ['GET', '/containers/{id}/export', 'docker export'],
  ['GET', '/containers/{id}/archive', 'docker cp'],
  ['HEAD', '/containers/{id}/archive', 'docker cp'],
  ['PUT', '/containers/{id}/archive', 'docker cp'],
  ['GET', '/containers/{id}/attach/ws', 'attach over a WebSocket'],
  ['GET', '/containers/{id}/checkpoints', 'docker checkpoint'],
  ['POST', '/containers/{id}/checkpoints', 'docker checkpoint'],
  ['DELETE', '/containers/{id}/checkpoints/{name}', 'docker checkpoint'],
  ['POST', '/containers/{id}/copy', 'docker cp'],
  ['POST', '/commit', 'docker commit'],
  ['POST', '/build', 'docker build'],
  ['POST', '/build/prune', 'docker builder prune'],
  ['POST', '/session', 'docker build'],
  ['POST', '/grpc', 'docker build'],
  ['POST', '/auth', 'docker login'],
  ['GET', '/system/df', 'docker system df'],
  ['GET', '/images/search', 'docker search'],
  ['GET', '/images/{name+}/history', 'docker history'],
  ['GET', '/images/{name+}/get', 'docker save'],
  ['GET', '/images/get', 'docker save'],
  ['POST', '/images/load', 'docker load'],
  ['POST', '/images/{name+}/push', 'docker push'],
  ['POST', '/images/{name+}/tag', 'docker tag'],
  ['GET', '/distribution/{name+}/json', 'docker manifest inspect'],
  ['POST', '/networks/create', 'docker network create'],
  ['POST', '/networks/{id}/connect', 'docker network connect'],
  ['POST', '/networks/{id}/disconnect', 'docker network disconnect'],
  ['DELETE', '/networks/{id}', 'docker network rm'],
  ['POST', '/volumes/create', 'docker volume create'],
  ['GET', '/volumes/{name}', 'docker volume inspect'],
  ['DELETE', '/volumes/{name}', 'docker volume rm'],
  ['PUT', '/volumes/{name}', 'docker volume update'],
  ...(
    [
      ['swarm', 'docker swarm'],
      ['nodes', 'docker node'],
      ['services', 'docker service'],
      ['tasks', 'docker service ps'],
      ['secrets', 'docker secret'],
      ['configs', 'docker config'],
      ['plugins', 'docker plugin'],
    ] as const
  ).flatMap(([folder, what]) =>
    ['GET', 'POST', 'DELETE'].flatMap((method) =>
      [`/${folder}`, `/${folder}/{rest+}`].map((path) => [method, path, what] as const),
    ),
  ),
];

const INSTEAD: Readonly<Record<string, string>> = {
  'docker rename': 'A container keeps the name that it was created with.',
};

export const REFUSED_ROUTES: readonly BridgeRoute[] = REFUSED.map(([method, path, what]) =>
  refusedRoute(method, path, unsupported(what, INSTEAD[what])),
);
