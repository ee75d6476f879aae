import type { Command } from 'commander';
import type { IsolationReport, Process } from '../../../core/contract/compute-process.ts';
import { acting, type Context } from '../../context.ts';
import type { Io } from '../../io.ts';
import type { Field } from '../../output/fields.ts';
import { processColumns } from '../../views/compute-process.ts';
import { networkFields } from '../../views/network.ts';
import { examples } from '../options.ts';

const worker = ({ workerProcess }: IsolationReport): string | null =>
  workerProcess === null
    ? null
    : `${workerProcess.name}, pid ${workerProcess.pid}, user ${workerProcess.userName}`;

const network = ({ network: found }: IsolationReport): readonly Field[] =>
  found == null
    ? []
    : [
        ...networkFields(found.policy),
        ['Ceiling of the host', found.ceiling.length === 0 ? 'none' : found.ceiling.join(', ')],
        ['Dropped packets', found.dropped.packets],
      ];

const section = (context: Context, title: string, processes: readonly Process[]): void => {
  context.write(`\n${context.paint('bold', title)}\n`);
  if (processes.length === 0) context.write('  none\n');
  else context.list(processColumns(processes), processes);
};

/** The report for people: kernels, then both lists of processes. */
export const showIsolation = (context: Context, report: IsolationReport): void => {
  if (context.isJson) {
    context.json(report);
    return;
  }
  context.one(report, () => [
    ['RuntimeType', report.runtimeType],
    ['Kernel of the host', report.kernel.host],
    ['Kernel of the container', report.kernel.container],
    ['Shared', report.sharedKernel ? 'yes' : 'no'],
    ['Worker process', worker(report)],
    ...network(report),
    ['Measured', report.simulated === true ? 'no: the host is simulated' : 'yes'],
  ]);
  section(context, 'Processes in the container', report.containerProcesses);
  section(context, 'Of these, the host sees', report.visibleOnHost);
};

export const addIsolation = (group: Command, io: Io): void => {
  const command = group
    .command('isolation')
    .summary('what a running container shares with its host, measured')
    .argument('<container>', 'id or name');
  examples(command, 'bulkhead container isolation HYPVCON').action(
    acting<[string], object>(io, async (context, _, idOrName) => {
      showIsolation(context, await context.client.call('getContainerIsolation', { params: { idOrName } }));
    }),
  );
};
