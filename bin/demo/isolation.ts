import { escapeControls, pad, truncate } from '../../cli/output/text.ts';
import type { Process } from '../../core/contract/compute-process.ts';
import type { Outcome, Stage } from './stage.ts';
import type { Cast, Workflow } from './workflow.ts';

/**
 * The documented demonstration: a process of the Default container is also in the host's list, one of the HyperV container
 * only in its own. Shows three lists of the relevant processes side by side.
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

export const showIsolation = async (stage: Stage, workflow: Workflow, cast: Cast): Promise<Outcome> => {
  const [host, plain, hyperv] = await Promise.all([
    workflow.hostProcesses(),
    workflow.processes(cast.plain),
    workflow.processes(cast.hyperv),
  ]);
  const { workerProcess } = await workflow.computeProcess(cast.hyperv);
  // On Windows the documentation uses csrss, which Windows starts for each session; elsewhere the main process.
  const subject = plain.find(({ name }) => /^csrss/.test(name)) ?? plain[0];
  const isolated = hyperv.find(({ name }) => name === subject?.name) ?? hyperv[0];
  if (subject === undefined || isolated === undefined || workerProcess === null) return 'failed';
  const alike = host.filter(({ name }) => name === subject.name);
  const worker = host.filter(({ pid }) => pid === workerProcess.pid);
  const lists = [
    ['THE HOST', ...[...alike, ...worker].map(lineOf)],
    [`${cast.plain} (Default)`, ...plain.map(lineOf)],
    [`${cast.hyperv} (HyperV)`, ...hyperv.map(lineOf)],
  ];
  stage.say('');
  for (const line of columns(lists)) stage.say(`  ${line}`);
  const shared = seenOnHost(subject, host);
  const outcome = shared !== undefined && seenOnHost(isolated, host) === undefined ? 'shown' : 'failed';
  const number = shared === undefined ? 'is not' : `is, as process ${shared.pid},`;
  stage.verdict(
    outcome,
    `${subject.name} of the Default container (${subject.pid} inside) ${number} in the host’s list. ` +
      `${isolated.name} of the HyperV container (${isolated.pid} inside) is not: all that the host sees of it is the ` +
      `worker process ${workerProcess.pid}.`,
  );
  stage.outcomes.push({ there: 'The isolation demonstration', outcome });
  return outcome;
};
