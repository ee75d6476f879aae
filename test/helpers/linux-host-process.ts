/**
 * The agent of a host, in a separate process: `<state folder> <container as JSON> <steps> <before|after>`. It executes
 * that many steps of the container's plan, prints a message, and kills itself. With `-1` it executes the whole plan,
 * prints a message, and keeps running.
 */
import { EXECUTORS } from '../../agent/execute/executors.ts';
import { plan } from '../../agent/plan/plan.ts';
import type { Step } from '../../agent/plan/steps.ts';
import type { Runtime } from '../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { openTestHost } from './linux-host.ts';

const [stateFolder = '', json = '', wanted = '-1', when = 'after'] = process.argv.slice(2);
const container = JSON.parse(json) as AssignedContainer;
const signal = new AbortController().signal;
const runtime = await openTestHost(stateFolder);
const assignment = {
  containerId: container.id,
  container,
  target: 'Running' as const,
  stopTimeoutSeconds: 0,
  instanceId: 'first',
};
const steps = plan(assignment, (await runtime.inspect(container.id))[0] ?? null);
const take = (step: Step) =>
  (EXECUTORS[step.kind] as (r: Runtime, s: Step, a: AbortSignal) => Promise<void>)(runtime, step, signal);

for (const [index, step] of steps.entries()) {
  const last = index === Number(wanted);
  const taken = take(step);
  // Dies during the step: the started work continues, and no agent sees its end.
  if (last && when === 'before') setImmediate(() => process.kill(process.pid, 'SIGKILL'));
  await taken;
  if (last) process.kill(process.pid, 'SIGKILL');
}
process.stdout.write('running\n');
setInterval(() => {}, 60_000);
