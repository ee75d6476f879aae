import type { Host } from '../../core/contract/host.ts';
import { colourOfState } from '../output/colours.ts';
import type { Field } from '../output/fields.ts';
import { instant, memory, pairs } from '../output/format.ts';
import type { Column } from '../output/table.ts';

const system = ({ os }: Host): string => `${os.sku} ${os.build === 0 ? os.version : os.build}`;

const load = ({ allocated, capacity }: Host): string =>
  `${memory(allocated.memoryMB)} of ${memory(capacity.memoryMB)}`;

const gigabytes = (megabytes: number): number => Number((megabytes / 1024).toFixed(1));

const shortLoad = ({ allocated, capacity }: Host): string =>
  `${gigabytes(allocated.memoryMB)}/${gigabytes(capacity.memoryMB)}`;

export const HOST_COLUMNS: readonly Column<Host>[] = [
  { header: 'Name', value: ({ name }) => name, flexible: true },
  { header: 'State', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  { header: 'Os', value: system },
  { header: 'Hypervisor', value: ({ hypervisor }) => hypervisor },
  { header: 'Conversion', value: ({ capabilities }) => capabilities.runtimeConversion },
  { header: 'Memory(GiB)', value: shortLoad },
];

export const hostFields = (host: Host): readonly Field[] => [
  ['Name', host.name],
  ['Id', host.id],
  ['State', host.state],
  ['Schedulable', host.schedulable ? 'yes' : 'no'],
  ['Os', `${host.os.family}, ${system(host)}`],
  ['Kernel', host.kernel],
  ['Architecture', host.architecture],
  ['Hypervisor', host.hypervisor],
  ['RuntimeTypes', host.capabilities.runtimeTypes.join(', ')],
  ['RuntimeConversion', host.capabilities.runtimeConversion],
  ['Switches', host.switches.join(', ')],
  ['NetworkCeiling', host.networkCeiling?.length ? host.networkCeiling.join(', ') : null],
  ['Memory', load(host)],
  ['Disk', `${memory(host.allocated.diskMB)} of ${memory(host.capacity.diskMB)}`],
  ['Cpus', `${host.allocated.cpus} of ${host.capacity.cpus}`],
  ['LastSeenAt', instant(host.lastSeenAt)],
  ['AgentVersion', host.agentVersion],
  ['Labels', Object.keys(host.labels).length === 0 ? null : pairs(host.labels)],
  ['Revision', host.revision],
];
