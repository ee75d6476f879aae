import { escapeControls, pad, truncate } from '../../cli/output/text.ts';
import type { Process } from '../../core/contract/compute-process.ts';
import type { Outcome, Stage } from './stage.ts';
import type { Scenario, Workflow } from './workflow.ts';

/**
 * The documented demonstration: the host's list contains the processes of a Default container, but not those of a HyperV
 * container. Shows the relevant processes of the three lists side by side.
 */
const WIDTH = 25;

const lineOf = ({ pid, name }: Process): string => `${String(pid).padStart(6)} ${escapeControls(name)}`;

const seenOnHost = (inside: Process, host: readonly Process[]): Process | undefined =>
  host.find(({ pid, name }) => pid === (inside.hostPid ?? inside.pid) && name === inside.name);

const columns = (lists: readonly (readonly string[])[]): string[] => {
  const height = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: height }, (_, row) =>
    lists
      .map((list) => pad(truncate(list[row] ?? '', WIDTH), WIDTH))
      .join(' ')
      .trimEnd(),
  );
};

export const showIsolation = async (
  stage: Stage,
  workflow: Workflow,
  scenario: Scenario,
): Promise<Outcome> => {
  const [host, plain, hyperv] = await Promise.all([
    workflow.hostProcesses(),
    workflow.processes(scenario.plain),
    workflow.processes(scenario.hyperv),
  ]);
  const { workerProcess } = await workflow.computeProcess(scenario.hyperv);
  // The documentation shows csrss, which Windows starts for each session. On other systems this is the main process.
  const subject = plain.find(({ name }) => /^csrss/.test(name)) ?? plain[0];
  const isolated = hyperv.find(({ name }) => name === subject?.name) ?? hyperv[0];
  if (subject === undefined || isolated === undefined || workerProcess === null) return 'failed';
  const alike = host.filter(({ name }) => name === subject.name);
  const worker = host.filter(({ pid }) => pid === workerProcess.pid);
  const lists = [
    ['THE HOST', ...[...alike, ...worker].map(lineOf)],
    [`${scenario.plain} (Default)`, ...plain.map(lineOf)],
    [`${scenario.hyperv} (HyperV)`, ...hyperv.map(lineOf)],
  ];
  stage.print('');
  for (const line of columns(lists)) stage.print(`  ${line}`);
  const shared = seenOnHost(subject, host);
  const outcome = shared !== undefined && seenOnHost(isolated, host) === undefined ? 'shown' : 'failed';
  const number = shared === undefined ? 'is not' : `is, as process ${shared.pid},`;
  stage.verdict(
    outcome,
    `${subject.name} of the Default container (${subject.pid} inside) ${number} in the host’s list. ` +
      `${isolated.name} of the HyperV container (${isolated.pid} inside) is not: only its ` +
      `worker process ${workerProcess.pid} is.`,
  );
  stage.outcomes.push({ cmdlet: 'The isolation demonstration', outcome });
  return outcome;
};
