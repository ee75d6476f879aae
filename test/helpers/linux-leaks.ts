import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostCgroups } from '../../agent/runtimes/linux/cgroups.ts';
import { createLayout, devicePrefix } from '../../agent/runtimes/linux/layout.ts';
import { Leases } from '../../agent/runtimes/linux/leases.ts';
import { routerName } from '../../agent/runtimes/linux/network/router.ts';
import { commandLineOf, listPids, readStat } from '../../agent/runtimes/linux/proc.ts';

const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Everything on this machine that belongs to a container or a VM of the host with that state folder, by kind. */
export type Traces = Record<keyof typeof NO_TRACES, string[]>;

export const findTraces = async (stateFolder: string): Promise<Traces> => {
  const layout = createLayout(stateFolder);
  const router = routerName(layout.tag);
  const leases = new Leases(layout.leases, layout.tag);
  const isOurs = (text: string) => text.includes(`${layout.run}/`) || text.includes(`${layout.state}/`);
  const held = async (kind: 'uid' | 'ids' | 'address' | 'tcp' | 'udp') =>
    (await leases.held(kind)).map(({ value }) => String(value));
  const inCgroup = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/bulkhead-${layout.tag}/`);
    } catch {
      return false;
    }
  };
  const cgroups = (await hostCgroups(layout.tag)).flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${folder}/${entry.name}`),
  );
  return {
    processes: listPids()
      // A zombie waits for its parent, which is not part of this host any more.
      .filter((pid) => readStat(pid)?.fields[0] !== 'Z')
      .filter(
        (pid) =>
          inCgroup(pid) ||
          (pid !== process.pid &&
            commandLineOf(pid).some((word) => /helper$/.test(word)) &&
            isOurs(commandLineOf(pid).join(' '))),
      )
      .map((pid) => `${pid} ${commandLineOf(pid).slice(0, 4).join(' ')}`),
    mounts: read('/proc/self/mounts')
      .split('\n')
      .filter((line) => !line.includes(`${router} `))
      .filter(
        (line) =>
          line.includes(`${layout.runContainers}/`) ||
          line.includes(`${layout.state}/`) ||
          line.includes(`/run/netns/bulkhead-${layout.tag}`),
      ),
    /** An open host has a router. */
    routers: [
      ...list('/run/netns').filter((name) => name === router),
      ...list('/sys/class/net').filter((name) => name === `bhr${layout.tag}`),
    ],
    loopDevices: list('/sys/block')
      .filter((name) => name.startsWith('loop'))
      .filter((name) => {
        const file = read(`/sys/block/${name}/loop/backing_file`);
        return [layout.containers, `${layout.state}/imports`].some((folder) => file.startsWith(folder));
      }),
    uids: [...(await held('uid')), ...(await held('ids'))],
    addresses: await held('address'),
    ports: [...(await held('tcp')), ...(await held('udp'))],
    devices: [...list('/sys/class/net'), ...routerLinks(router)].filter((name) =>
      devicePrefix(layout).some((prefix) => name.startsWith(prefix)),
    ),
    firewall: [...published(layout.tag), ...containerRules(router), ...foreignRules(layout.tag)],
    cgroups,
    files: [
      layout.containers,
      layout.vmDisks,
      layout.runVms,
      layout.runContainers,
      `${layout.state}/imports`,
      layout.runcState,
    ].flatMap((folder) => list(folder).map((name) => `${folder}/${name}`)),
  };
};

/** The output of a program; empty if it fails, as it does if there is nothing to list. */
const ask = (program: string, ...words: string[]): string => {
  try {
    return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
};

const routerLinks = (router: string): string[] =>
  [...ask('ip', '-n', router, '-brief', 'link').matchAll(/^[^@\s]+/gm)].map(([name]) => name);

/** Rules of containers in the router: chains, counters and sets are named after an address. */
const containerRules = (router: string): string[] => {
  const text = ask('ip', 'netns', 'exec', router, 'nft', 'list', 'ruleset');
  return [...text.matchAll(/(chain|counter|set) \w+_[0-9a-f]{8}\w* /g), ...text.matchAll(/"bh[vt]\w+"/g)].map(
    ([name]) => name,
  );
};

const published = (tag: string): string[] => {
  const text = ask('nft', 'list', 'table', 'ip', `bulkhead_${tag}`);
  return [...text.matchAll(/elements = \{ ([\d, ]+) \}/g)].map(([, ports]) => ports ?? '');
};

/** Rules that a host has added to tables of other programs. */
const foreignRules = (tag: string): string[] =>
  ask('nft', 'list', 'ruleset')
    .split('\n')
    .filter((line) => line.includes(`comment "bulkhead ${tag}"`));

/** The result of {@link findTraces} if nothing is left. */
export const NO_TRACES = {
  processes: [],
  mounts: [],
  routers: [],
  loopDevices: [],
  uids: [],
  addresses: [],
  ports: [],
  devices: [],
  firewall: [],
  cgroups: [],
  files: [],
};
