#!/usr/bin/env node
/**
 * `npm run demo`: the documented workflow of Hyper-V containers, row by row, against its own control plane or `--against`
 * another. Each row shows the cmdlet, the CLI command that replaces it, the output, and what it proves, which is checked
 * through the API. First on this machine, if it can be a host, then on simulated Windows hosts with the process numbers of
 * the documentation. Exits with 1 if any check fails.
 */
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import type { Io } from '../cli/io.ts';
import { renderError } from '../cli/output/problems.ts';
import { Client } from '../core/client/index.ts';
import type { Host } from '../core/contract/host.ts';
import { connect } from './bulkhead/connect.ts';
import { type ControlPlane, startControlPlane } from './demo/control-plane.ts';
import { showDocker } from './demo/docker.ts';
import { DemoError } from './demo/errors.ts';
import { showIsolation } from './demo/isolation.ts';
import { Stage } from './demo/stage.ts';
import { type Cast, Workflow } from './demo/workflow.ts';

interface Options {
  readonly against?: string;
  readonly host: string;
}

const parse = (argv: readonly string[]): Options =>
  new Command('npm run demo --')
    .description('The documented workflow of Hyper-V containers, row by row, against Bulkhead.')
    .option('--against <url>', 'of a control plane that runs; with BULKHEAD_TOKEN')
    .addOption(
      new Option('--host <what>', 'this machine as a host: for real where it can be, or none')
        .choices(['auto', 'none'])
        .default('auto'),
    )
    .exitOverride()
    .parse([...argv], { from: 'user' })
    .opts<Options>();

const interrupted = new AbortController();

const ioFor = ({ apiUrl, token }: Pick<ControlPlane, 'apiUrl' | 'token'>): Io => ({
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: { ...process.env, BULKHEAD_API_URL: apiUrl, BULKHEAD_TOKEN: token },
  cwd: process.cwd(),
  home: homedir(),
  userId: process.getuid?.(),
  fetch,
  connect,
  interrupted: interrupted.signal,
});

const castOf = (host: Host, image: string, command: readonly string[], suffix: string): Cast => ({
  host,
  image,
  command,
  hyperv: `HYPVCON${suffix}`,
  plain: `DEMO${suffix}`,
  converted: `CONVERT${suffix}`,
});

const clear = async (workflow: Workflow, { hyperv, plain, converted }: Cast): Promise<void> => {
  for (const name of [hyperv, plain, converted]) await workflow.remove(name);
};

const onThisMachine = async (
  stage: Stage,
  host: Host,
  suffix: string,
  mayRunDocker: boolean,
): Promise<void> => {
  stage.title(
    `On a real host: ${host.name}, ${host.os.sku} ${host.os.version}, hypervisor ${host.hypervisor}`,
  );
  const cast = castOf(host, 'mini', ['sleep', '1000'], suffix);
  const workflow = new Workflow(stage, cast);
  try {
    await workflow.creation();
    if (host.capabilities.runtimeConversion === 'inPlace') await workflow.conversion();
    if (mayRunDocker) await showDocker(stage, connect, host.kernel);
    else stage.say('\ndocker cannot say on which host, and there are simulated ones: left out.');
    await workflow.start();
    await workflow.session(['uname', '-r'], /\d+\.\d+/);
    await workflow.computeProcesses();
    await workflow.isolationReports();
    stage.title('The isolation demonstration, measured on this machine');
    await showIsolation(stage, workflow, cast);
    await workflow.end();
  } finally {
    await clear(workflow, cast);
  }
};

const onSimulatedWindows = async (stage: Stage, hosts: readonly Host[], suffix: string): Promise<void> => {
  const nano = hosts.find(({ os }) => os.sku === 'NanoServer');
  const core = hosts.find(({ os }) => os.sku === 'ServerCore');
  if (nano === undefined) {
    stage.say('\nThere is no Nano Server host, so the Windows part is left out.');
    return;
  }
  const kind =
    nano.hypervisor === 'simulated' ? 'simulated, with the figures of the documentation' : nano.hypervisor;
  stage.title(`On Windows: ${nano.name} (${kind})`);
  const cast = castOf(nano, 'NanoServer', [], `-WIN${suffix}`);
  const workflow = new Workflow(stage, cast);
  try {
    await workflow.creation();
    await workflow.conversion();
    if (core !== undefined) await workflow.refusedConversion(core);
    await workflow.start();
    await workflow.session(['whoami'], /./);
    await workflow.computeProcesses();
    await workflow.isolationReports();
    stage.title('The isolation demonstration, as documented');
    await showIsolation(stage, workflow, cast);
    await workflow.end();
  } finally {
    await clear(workflow, cast);
  }
};

/** @returns the exit code */
const summary = (stage: Stage, seconds: number): number => {
  const count = (wanted: string): number => stage.outcomes.filter(({ outcome }) => outcome === wanted).length;
  stage.title('In all');
  stage.say(
    `${count('shown')} shown, ${count('failed')} failed, ${count('unavailable')} not available; ${seconds.toFixed(1)} s.`,
  );
  for (const { there, outcome } of stage.outcomes)
    if (outcome !== 'shown') stage.say(`  ${outcome === 'failed' ? 'not so' : 'not available'}: ${there}`);
  return count('failed') === 0 ? 0 : 1;
};

const perform = async (controlPlane: ControlPlane, suffix: string): Promise<number> => {
  const began = performance.now();
  const io = ioFor(controlPlane);
  const client = new Client({ apiUrl: controlPlane.apiUrl, token: controlPlane.token, fetch });
  const stage = new Stage(io, client);
  const { items: hosts } = await client.call('listHosts', { query: { limit: '200' } });
  const ready = hosts.filter(({ state }) => state === 'Ready');
  const real = ready.find(({ hypervisor, os }) => hypervisor !== 'simulated' && os.family === 'linux');
  if (real === undefined) stage.say('\nNo real host is ready here, so that part is left out.');
  else {
    const others = ready.filter(({ hypervisor, os }) => hypervisor === 'simulated' && os.family === 'linux');
    await onThisMachine(stage, real, suffix, others.length === 0);
  }
  await onSimulatedWindows(
    stage,
    ready.filter(({ os }) => os.family === 'windows'),
    suffix,
  );
  return summary(stage, (performance.now() - began) / 1000);
};

const controlPlaneOf = async ({ against, host }: Options): Promise<ControlPlane> => {
  if (against === undefined) {
    console.log('Starting a temporary control plane; nothing is kept.');
    return startControlPlane(host, (line) => console.log(line));
  }
  const token = process.env.BULKHEAD_TOKEN;
  if (token === undefined) throw new DemoError('A token is required too.', 'Set BULKHEAD_TOKEN.');
  return { apiUrl: against, token, stop: async () => undefined };
};

const run = async (argv: readonly string[]): Promise<number> => {
  const options = parse(argv);
  const controlPlane = await controlPlaneOf(options);
  const stopping = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        interrupted.abort();
        resolve(130);
      });
  });
  const suffix = options.against === undefined ? '' : `-${randomBytes(2).toString('hex')}`;
  try {
    return await Promise.race([perform(controlPlane, suffix), stopping]);
  } finally {
    await controlPlane.stop();
  }
};

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    console.error(renderError(error, { paint: (_, text) => text, width: undefined }));
    process.exitCode = 1;
  }
}
process.exit();
