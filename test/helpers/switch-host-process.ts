/**
 * The switch of one agent in a separate process, which starts in the network namespace of a test's machine: `<state
 * folder> <allowed private ranges> <name servers>`. It receives calls as messages and answers each.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { systemClock } from '../../agent/clock.ts';
import { messageOf } from '../../agent/errors.ts';
import { readArtifacts } from '../../agent/runtimes/linux/artifacts.ts';
import { UserNamespaces } from '../../agent/runtimes/linux/container/user-namespaces.ts';
import { createLayout } from '../../agent/runtimes/linux/layout.ts';
import { Leases } from '../../agent/runtimes/linux/leases.ts';
import { NatSwitch } from '../../agent/runtimes/linux/network/nat-switch.ts';
import { artifactsFolder } from '../../scripts/setup/linux-runtime.ts';

const [folder = '', ranges = '', nameServers = ''] = process.argv.slice(2);
const words = (text: string) => text.split(',').filter((word) => word !== '');
const layout = createLayout(folder);
mkdirSync(layout.runContainers, { recursive: true });
const artifacts = await readArtifacts(artifactsFolder(new URL('../..', import.meta.url).pathname));
if (artifacts === null) throw new TypeError('The Linux runtime is not set up');
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const leases = new Leases(layout.leases, layout.tag);
const deps = { clock: systemClock, log: silent, newId: randomUUID, randomBytes, layout, artifacts, leases };
const opened = await NatSwitch.open(deps, words(ranges), words(nameServers));

const users = new UserNamespaces(deps);

const CALLS = {
  connect: async (id: string, spec: Parameters<NatSwitch['connect']>[1]) =>
    opened.connect(id, spec, { owner: await users.take(id) }),
  setPolicy: (id: string, policy: Parameters<NatSwitch['setPolicy']>[1]) => opened.setPolicy(id, policy),
  report: (id: string) => opened.report(id),
  disconnect: async (id: string) => {
    await opened.disconnect(id);
    await users.remove(id);
  },
  remove: () => opened.remove(),
};
process.on('message', ({ call, args }: { call: keyof typeof CALLS; args: never[] }) => {
  const done = (CALLS[call] as (...given: never[]) => Promise<unknown>)(...args);
  done.then(
    (value) => process.send?.({ value: value ?? null }),
    (error) => process.send?.({ error: messageOf(error) }),
  );
});
process.send?.({ value: 'ready' });
