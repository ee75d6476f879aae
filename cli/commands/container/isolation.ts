import type { Command } from 'commander';
import type { IsolationReport, Process } from '../../../core/contract/compute-process.ts';
import type { IsolationVerification, ProbeResult } from '../../../core/contract/isolation-verification.ts';
import { type Context, withContext } from '../../context.ts';
import { ExitError } from '../../errors.ts';
import type { Io } from '../../io.ts';
import type { Field } from '../../output/fields.ts';
import type { Column } from '../../output/table.ts';
import { processColumns } from '../../views/compute-process.ts';
import { networkFields } from '../../views/network.ts';
import { isDryRun, showDryRun } from '../accepted.ts';
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

const rootUser = ({ userNamespace }: IsolationReport): string | null => {
  if (userNamespace === undefined) return null;
  if (userNamespace === null) return 'root of the host';
  return `user ${userNamespace.firstHostId} of the host`;
};

const section = (context: Context, title: string, processes: readonly Process[]): void => {
  context.write(`\n${context.paint('bold', title)}\n`);
  if (processes.length === 0) context.write('  none\n');
  else context.showList(processColumns(processes), processes);
};

/** The report as text: kernels, then both lists of processes. */
const showIsolation = (context: Context, report: IsolationReport): void => {
  if (context.isJson) {
    context.showJson(report);
    return;
  }
  context.showItem(report, () => [
    ['RuntimeType', report.runtimeType],
    ['Kernel of the host', report.kernel.host],
    ['Kernel of the container', report.kernel.container],
    ['Shared', report.sharedKernel ? 'yes' : 'no'],
    ['Root in the container', rootUser(report)],
    ['Worker process', worker(report)],
    ...network(report),
    ['Measured', report.simulated === true ? 'no, the host is simulated' : 'yes'],
  ]);
  section(context, 'Processes in the container', report.containerProcesses);
  section(context, 'Of these, visible on the host', report.visibleOnHost);
};

const PROBE_COLUMNS: readonly Column<ProbeResult>[] = [
  { header: 'Probe', value: ({ name }) => name },
  { header: 'Outcome', value: ({ outcome }) => outcome },
  { header: 'Expected', value: ({ expected }) => (expected ? 'yes' : 'NO') },
  { header: 'Detail', value: ({ detail }) => detail, flexible: true },
];

/** The verification as text: one line per probe, then the result. */
const showVerification = (context: Context, verification: IsolationVerification): void => {
  if (context.isJson) {
    context.showJson(verification);
    return;
  }
  context.showList(PROBE_COLUMNS, verification.probes);
  const unexpected = verification.probes.filter(({ expected }) => !expected);
  const { runtimeType } = verification;
  const result =
    unexpected.length === 0
      ? `All ${verification.probes.length} outcomes are as expected for a ${runtimeType} container.`
      : `${unexpected.length} of ${verification.probes.length} outcomes are not as expected for a ${runtimeType} container.`;
  context.write(
    `\n${result}${verification.simulated === true ? ' The host is simulated, so no probe ran.' : ''}\n`,
  );
};

const verify = async (context: Context, idOrName: string): Promise<void> => {
  const verification = await context.client.call('verifyContainerIsolation', { params: { idOrName } });
  if (isDryRun(verification)) return showDryRun(context, verification);
  showVerification(context, verification);
  if (!verification.asExpected) throw new ExitError(1);
};

export const addIsolation = (group: Command, io: Io): void => {
  const command = group
    .command('isolation')
    .summary('show what a running container shares with its host, or verify its isolation')
    .argument('<container>', 'id or name')
    .option(
      '--verify',
      'run a fixed set of probes in the container; exit with 1 if an outcome is not as expected',
    );
  examples(
    command,
    'bulkhead container isolation HYPVCON',
    'bulkhead container isolation HYPVCON --verify',
  ).action(
    withContext<[string], { verify?: boolean }>(io, async (context, options, idOrName) => {
      if (options.verify === true) return verify(context, idOrName);
      showIsolation(context, await context.client.call('getContainerIsolation', { params: { idOrName } }));
    }),
  );
};
