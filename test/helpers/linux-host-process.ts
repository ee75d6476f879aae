/**
 * A host's agent in a process of its own, to be killed: `<state folder> <container as JSON> <steps> <before|after>`.
 * Brings the container up to that step of its plan, says so, and kills itself; with `-1` it brings it up
 * entirely, says so, and stays.
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
  // Dies in the middle: the started work continues, and no agent sees its end.
  if (last && when === 'before') setImmediate(() => process.kill(process.pid, 'SIGKILL'));
  await taken;
  if (last) process.kill(process.pid, 'SIGKILL');
}
process.stdout.write('running\n');
setInterval(() => {}, 60_000);
