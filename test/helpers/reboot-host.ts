import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { createLayout } from '../../agent/runtimes/linux/layout.ts';
import { routerName } from '../../agent/runtimes/linux/network/router.ts';
import { commandLineOf, listPids } from '../../agent/runtimes/linux/proc.ts';
import { until } from './linux-host.ts';
import { findTraces } from './linux-leaks.ts';

const LEASES = ['uid', 'ids', 'address', 'router', 'tcp', 'udp'];

const attempt = (program: string, ...words: string[]): void => {
  try {
    execFileSync(program, words, { stdio: 'ignore' });
  } catch {
    // The process has already ended.
  }
};

/**
 * Has the effect of a sudden reboot of the machine on one host: processes, mounts, network, rules, cgroups and `/run`
 * are lost, and only the files on its disk remain. The runtime must be shut down before.
 */
export const loseVolatileState = async (stateFolder: string): Promise<void> => {
  const layout = createLayout(stateFolder);
  const { processes, mounts, cgroups } = await findTraces(stateFolder);
  const resolver = listPids().filter((pid) =>
    commandLineOf(pid).some((word) => word.endsWith(`/${routerName(layout.tag)}`)),
  );
  const pids = [...processes.map((line) => Number.parseInt(line, 10)), ...resolver];
  for (const pid of pids) attempt('kill', '-9', String(pid));
  await until(async () => (await findTraces(stateFolder)).processes.length === 0);
  for (const line of mounts.toReversed()) attempt('umount', '--lazy', line.split(' ')[1] ?? '');
  for (const name of readdirSync('/run/netns'))
    if (name.startsWith(`bulkhead-${layout.tag}-`)) attempt('ip', 'netns', 'delete', name);
  attempt('ip', 'link', 'delete', `bhr${layout.tag}`);
  attempt('nft', 'delete', 'table', 'ip', `bulkhead_${layout.tag}`);
  for (const folder of cgroups) rmdirSync(folder);
  rmSync(layout.run, { recursive: true, force: true });
  for (const kind of LEASES) {
    const folder = `${layout.leases}/${kind}`;
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (readFileSync(`${folder}/${name}`, 'utf8').startsWith(`${layout.tag} `)) rmSync(`${folder}/${name}`);
  }
};
