/**
 * The agent of a host, in a separate process that kills itself during a conversion: `<state folder> <container as JSON>
 * <to> <verb> <before|after>`. It starts the container, begins to convert it, and kills itself before or after that
 * verb.
 */
import type { Runtime } from '../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { around, convert } from './linux-conversion.ts';
import { bring, openTestHost } from './linux-host.ts';

const [stateFolder = '', json = '', to = 'HyperV', verb = '', when = 'after'] = process.argv.slice(2);
const one = JSON.parse(json) as AssignedContainer;
const runtime = await openTestHost(stateFolder);
const die = () => process.kill(process.pid, 'SIGKILL');
await bring(runtime, one.id, one, 'Running', 'first');
await convert(
  around(
    runtime,
    verb as keyof Runtime,
    // Dies during the verb: the started work continues, and no agent sees its end.
    when === 'before' ? { before: () => void setImmediate(die) } : { after: die },
  ),
  one,
  to as RuntimeType,
  'first',
);
