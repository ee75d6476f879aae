import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { UserNamespaces } from './container/user-namespaces.ts';
import type { LinuxDeps } from './deps.ts';
import type { HostParts } from './host-parts.ts';
import { containerPaths, type Layout } from './layout.ts';
import type { NatSwitch } from './network/nat-switch.ts';
import { readMountPoints } from './proc.ts';
import { runOrFail } from './run-command.ts';

/**
 * Adopts the running containers of an earlier agent, and removes unfinished resources. It decides by the observed state of the
 * machine, not by records of actions in progress.
 */
export const recoverHost = async (
  deps: LinuxDeps,
  { vms, runs, records, network, layers, userNamespaces }: HostParts,
): Promise<void> => {
  const { adopted, lost } = await vms.recover();
  for (const { containerId, greeting, main } of adopted)
    await runs.recoverInGuest(containerId, greeting.main, greeting, main);
  for (const id of lost) await runs.vmDied(id, 'The utility VM ended while the agent was not running', false);
  const ids = new Set(await records.ids());
  for (const id of ids) {
    if ((await records.container(id)) !== null) await runs.recoverHere(id);
    else if (!(await layers.exists(id)))
      await rm(containerPaths(deps.layout, id).folder, { recursive: true, force: true });
  }
  for (const id of await readdir(deps.layout.runContainers)) if (!ids.has(id)) await network.disconnect(id);
  await removeUnusedNamespaces(deps, network, userNamespaces);
  await releaseOrphans(deps, ids);
};

/** A user namespace is created before the mounts and the network that belong to it, and removed after them. */
const removeUnusedNamespaces = async (
  { leases, layout }: LinuxDeps,
  network: NatSwitch,
  userNamespaces: UserNamespaces,
): Promise<void> => {
  const mounted = await readMountPoints();
  for (const { id } of await leases.held('ids'))
    if (!mounted.has(containerPaths(layout, id).root) && (await network.endpoint(id)) === null)
      await userNamespaces.remove(id);
};

/** Unmounts the file systems of interrupted imports, which outlive the agent. */
export const removeImports = async (layout: Layout): Promise<void> => {
  const folder = join(layout.state, 'imports');
  const mounted = [...(await readMountPoints())].filter((point) => point.startsWith(`${folder}/`));
  for (const point of mounted)
    await runOrFail('The file system of an interrupted import could not be unmounted', 'umount', [
      '--',
      point,
    ]);
  await rm(folder, { recursive: true, force: true });
};

const releaseOrphans = async (
  { leases, layout }: LinuxDeps,
  containers: ReadonlySet<string>,
): Promise<void> => {
  const vms = new Set(await readdir(layout.runVms));
  for (const { id } of await leases.held('uid')) if (!vms.has(id)) await leases.release('uid', id);
  for (const kind of ['address', 'tcp', 'udp'] as const)
    for (const { id } of await leases.held(kind))
      if (!containers.has(id.split('/')[0] ?? '')) await leases.release(kind, id);
};
