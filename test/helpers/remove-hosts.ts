import { openTestHost, removeAllContainers } from './linux-host.ts';

/** `node remove-hosts.ts STATE_FOLDER …` removes all containers and VMs of these hosts. */
for (const stateFolder of process.argv.slice(2)) {
  const runtime = await openTestHost(stateFolder);
  await removeAllContainers(runtime);
  await runtime.shutDown();
}
