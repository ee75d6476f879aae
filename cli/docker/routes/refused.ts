import { unsupported } from '../errors.ts';
import { type BridgeRoute, route } from './route.ts';

/** Docker requests that Bulkhead does not support. The error names the docker command. */
const REFUSED: readonly (readonly [method: string, path: string, what: string])[] = [
  ['POST', '/containers/{id}/rename', 'docker rename'],
  ['POST', '/containers/{id}/pause', 'docker pause'],
  ['POST', '/containers/{id}/unpause', 'docker unpause'],
  ['POST', '/containers/{id}/update', 'docker update'],
  ['GET', '/containers/{id}/stats', 'docker stats'],
  ['GET', '/containers/{id}/changes', 'docker diff'],
  ['GET', '/containers/{id}/export', 'docker export'],
  ['GET', '/containers/{id}/archive', 'docker cp'],
  ['HEAD', '/containers/{id}/archive', 'docker cp'],
  ['PUT', '/containers/{id}/archive', 'docker cp'],
  ['GET', '/containers/{id}/attach/ws', 'attach over a WebSocket'],
  ['POST', '/containers/prune', 'docker container prune'],
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
  ['POST', '/images/prune', 'docker image prune'],
  ['POST', '/images/{name+}/push', 'docker push'],
  ['POST', '/images/{name+}/tag', 'docker tag'],
  ['GET', '/distribution/{name+}/json', 'docker manifest inspect'],
  ['GET', '/networks/{id}', 'docker network inspect'],
  ['POST', '/networks/create', 'docker network create'],
  ['POST', '/networks/prune', 'docker network prune'],
  ['POST', '/networks/{id}/connect', 'docker network connect'],
  ['POST', '/networks/{id}/disconnect', 'docker network disconnect'],
  ['DELETE', '/networks/{id}', 'docker network rm'],
  ['POST', '/volumes/create', 'docker volume create'],
  ['POST', '/volumes/prune', 'docker volume prune'],
  ['GET', '/volumes/{name}', 'docker volume inspect'],
  ['DELETE', '/volumes/{name}', 'docker volume rm'],
  ['GET', '/swarm', 'docker swarm'],
  ['POST', '/swarm/{verb}', 'docker swarm'],
  ['GET', '/nodes', 'docker node'],
  ['GET', '/services', 'docker service'],
  ['POST', '/services/create', 'docker service'],
  ['GET', '/secrets', 'docker secret'],
  ['GET', '/configs', 'docker config'],
  ['GET', '/plugins', 'docker plugin'],
];

const INSTEAD: Readonly<Record<string, string>> = {
  'docker rename': ' A container keeps the name that it was created with.',
};

export const REFUSED_ROUTES: readonly BridgeRoute[] = REFUSED.map(([method, path, what]) =>
  route(method, path, async () => {
    const refusal = unsupported(what);
    throw Object.assign(refusal, { message: refusal.message + (INSTEAD[what] ?? '') });
  }),
);
