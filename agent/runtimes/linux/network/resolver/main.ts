/**
 * The resolver of a host's switch, as a program: `main.ts <folder of policies> <router namespace> <name servers>`.
 * The helper (`helper/serve-names.c`) opens the sockets in the router's namespace. The program itself runs in the host's
 * namespace and queries name servers from there. Name servers: `host#port` separated by commas, or empty for the host's.
 */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../../../clock.ts';
import { readJson } from '../../files.ts';
import { ContainerPolicySchema } from './container-policy.ts';
import { FairShare } from './fair-share.ts';
import { Grants, inRouter } from './grants.ts';
import { parseNameServers } from './name-servers.ts';
import { Resolver } from './resolver.ts';
import { serveTcp, serveUdp } from './serve.ts';
import { ask, type NameServer } from './upstream.ts';

const UDP_FD = 3;
const TCP_FD = 4;
const LIMITS = { perSecond: 200, outstanding: 64, total: 512 };

const [policies = '', router = '', given = ''] = process.argv.slice(2);

const nameServers = async (): Promise<readonly NameServer[]> => {
  if (given === '') return parseNameServers(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''));
  return given.split(',').map((one) => {
    const [host = '', port = '53'] = one.split('#');
    return { host, port: Number(port) };
  });
};

const grants = new Grants(inRouter(router), systemClock);
const resolver = new Resolver({
  // Read for each query, so that a policy applies as soon as its file exists.
  policyOf: (address) => readJson(join(policies, `${address}.json`), ContainerPolicySchema),
  ask: async (question) =>
    ask(await nameServers(), question, { clock: systemClock, newId: () => randomInt(0x10000) }),
  grant: (granted) => grants.add(granted),
  share: new FairShare(LIMITS),
  clock: systemClock,
});
serveUdp(resolver, UDP_FD);
serveTcp(resolver, TCP_FD);
