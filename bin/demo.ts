#!/usr/bin/env node
/**
 * `npm run demo`: the documented workflow of Hyper-V containers, row by row, against a temporary control plane or
 * the one in `--against`. Each row shows the cmdlet, the CLI command that replaces it, the output and what it proves. A check through the API
 * verifies each row. The rows run on this machine, if it can be a host, and then on simulated Windows hosts with the
 * process ids of the documentation. Exits with 1 if a check fails.
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
import { type Scenario, Workflow } from './demo/workflow.ts';

interface Options {
  readonly against?: string;
  readonly host: string;
}

const parse = (argv: readonly string[]): Options =>
  new Command('npm run demo --')
    .description('The documented workflow of Hyper-V containers, row by row, against Bulkhead.')
    .option('--against <url>', 'URL of a running control plane; requires BULKHEAD_TOKEN')
    .addOption(
      new Option('--host <what>', 'use this machine as a host: auto (if it can be one) or none')
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

const scenarioFor = (host: Host, image: string, command: readonly string[], suffix: string): Scenario => ({
  host,
  image,
  command,
  hyperv: `HYPVCON${suffix}`,
  plain: `DEMO${suffix}`,
  converted: `CONVERT${suffix}`,
});

const clear = async (workflow: Workflow, { hyperv, plain, converted }: Scenario): Promise<void> => {
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
  const scenario = scenarioFor(host, 'mini', ['sleep', '1000'], suffix);
  const workflow = new Workflow(stage, scenario);
  try {
    await workflow.creation();
    if (host.capabilities.runtimeConversion === 'inPlace') await workflow.conversion();
    if (mayRunDocker) await showDocker(stage, connect, host.kernel);
    else
      stage.print(
        '\nThe part with docker is skipped: docker cannot choose a host, and some hosts are simulated.',
      );
    await workflow.start();
    await workflow.session(['uname', '-r'], /\d+\.\d+/);
    await workflow.computeProcesses();
    await workflow.isolationReports();
    stage.title('The isolation demonstration, measured on this machine');
    await showIsolation(stage, workflow, scenario);
    await workflow.end();
  } finally {
    await clear(workflow, scenario);
  }
};

const onSimulatedWindows = async (stage: Stage, hosts: readonly Host[], suffix: string): Promise<void> => {
  const nano = hosts.find(({ os }) => os.sku === 'NanoServer');
  const core = hosts.find(({ os }) => os.sku === 'ServerCore');
  if (nano === undefined) {
    stage.print('\nThe Windows part is skipped: there is no Nano Server host.');
    return;
  }
  const kind =
    nano.hypervisor === 'simulated' ? 'simulated, with the figures of the documentation' : nano.hypervisor;
  stage.title(`On Windows: ${nano.name} (${kind})`);
  const scenario = scenarioFor(nano, 'NanoServer', [], `-WIN${suffix}`);
  const workflow = new Workflow(stage, scenario);
  try {
    await workflow.creation();
    await workflow.conversion();
    if (core !== undefined) await workflow.refusedConversion(core);
    await workflow.start();
    await workflow.session(['whoami'], /./);
    await workflow.computeProcesses();
    await workflow.isolationReports();
    stage.title('The isolation demonstration, as documented');
    await showIsolation(stage, workflow, scenario);
    await workflow.end();
  } finally {
    await clear(workflow, scenario);
  }
};

/** @returns the exit code */
const summary = (stage: Stage, seconds: number): number => {
  const count = (wanted: string): number => stage.outcomes.filter(({ outcome }) => outcome === wanted).length;
  stage.title('Summary');
  stage.print(
    `${count('shown')} shown, ${count('failed')} failed, ${count('unavailable')} not available; ${seconds.toFixed(1)} s.`,
  );
  for (const { cmdlet, outcome } of stage.outcomes)
    if (outcome !== 'shown') stage.print(`  ${outcome === 'failed' ? 'failed' : 'not available'}: ${cmdlet}`);
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
  if (real === undefined) stage.print('\nThe part on a real host is skipped: no real host is ready.');
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
  if (token === undefined) throw new DemoError('--against requires a token.', 'Set BULKHEAD_TOKEN.');
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
