#!/usr/bin/env node
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PortTakenError } from '../local/api-gateway/listener.ts';
import { type Cloud, startCloud } from '../local/cloud.ts';
import { createIssuerMount } from '../local/identity/issuer.ts';
import { LOCAL_AUDIENCE, LOCAL_ISSUER } from '../local/identity/names.ts';
import { loadSigningKey } from '../local/identity/signing-key.ts';
import { makePrivateFolder } from '../local/private-folder.ts';
import { eraseState } from '../local/state-directory.ts';
import { showProgress } from '../scripts/bootstrap/progress.mjs';
import { ApiClient } from './local/api-client.ts';
import { assemblyOf } from './local/assembly-cache.ts';
import { chooseHosts } from './local/choose-hosts.ts';
import { CommandError, describeError } from './local/errors.ts';
import { Hosts, type LocalHost } from './local/hosts.ts';
import { keepPort, type LocalFile, lastPort, removeLocalFile, writeLocalFile } from './local/local-file.ts';
import { type LocalOptions, parseLocalOptions, ROOT } from './local/options.ts';
import { readyMessage } from './local/ready-message.ts';
/**
 * `npm start`: runs all of Bulkhead on this machine.
 *
 * options → state directory → assembly (synthesized, or from the cache) → cloud → developer token → hosts →
 * `local.json` and the ready message → until a signal: stop the hosts, then the cloud, then temporary files.
 * A second Ctrl-C ends it immediately.
 */
import { checkTableFormat } from './local/table-format.ts';
import { developerToken, keyFileOf } from './local/token.ts';

/** A local cloud has one user, so waits need no limit. */
const FAIR_SHARE = { requestsPerSecond: 1000, requestBurst: 10_000, waitShare: 1, waitBurstSeconds: 86_400 };
const CONTEXT = {
  ...{ oidcIssuer: LOCAL_ISSUER, oidcAudience: LOCAL_AUDIENCE, eventTenant: 'dev' },
  fairShare: JSON.stringify(FAIR_SHARE),
  // Heartbeats cost nothing here, and short ones show a lost host sooner.
  ...{ heartbeatSeconds: '60', leaseSeconds: '180' },
};
const HOSTS_READY_SECONDS = 15;
/** npm forwards a Ctrl-C that the terminal has also sent. Signals within this time count as one. */
const SAME_SIGNAL_MS = 500;
/** Time limit of a stop. */
const STOP_LIMIT_MS = 12_000;

const say = (line: string): void => console.error(line);

const withProgress = async <T>(label: string, work: Promise<T>): Promise<T> => {
  const done = showProgress(label);
  try {
    const result = await work;
    done('done');
    return result;
  } catch (error) {
    done('failed');
    throw error;
  }
};

/** Stops the running parts, the newest first. */
class Undo {
  readonly #steps: (() => void | Promise<void>)[] = [];

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop())
      await Promise.resolve(step()).catch((error: unknown) => say(describeError(error)));
  }
}

const prepareState = (options: LocalOptions, undo: Undo): string => {
  if (options.ephemeral) {
    const stateDir = mkdtempSync(join(tmpdir(), 'bulkhead-'));
    undo.add(() => rmSync(stateDir, { recursive: true, force: true }));
    return stateDir;
  }
  makePrivateFolder(options.stateDir);
  if (options.reset) {
    eraseState(options.stateDir);
    rmSync(join(options.stateDir, 'hosts'), { recursive: true, force: true });
    say(`Deleted all containers, hosts and operations in ${options.stateDir}. The issuer's key is kept.`);
  }
  checkTableFormat(options.stateDir);
  return options.stateDir;
};

const openCloud = async (
  options: LocalOptions,
  stateDir: string,
): Promise<{ cloud: Cloud; token: string }> => {
  const assemblyDir = await withProgress(
    'synthesizing the CDK app',
    assemblyOf(ROOT, { ...CONTEXT, ...options.context }),
  );
  const key = await loadSigningKey(keyFileOf(stateDir));
  const start = (httpPort: number): Promise<Cloud> =>
    startCloud({ assemblyDir, stateDir, httpPort, mounts: [createIssuerMount(key)] });
  const earlier = options.port === 0 ? lastPort(stateDir) : options.port;
  const starting = start(earlier).catch((error: unknown) => {
    if (options.port === 0 && earlier !== 0 && error instanceof PortTakenError) return start(0);
    throw error;
  });
  return { cloud: await withProgress('starting the cloud', starting), token: await developerToken(key) };
};

const describe = (cloud: Cloud, token: string): LocalFile => {
  const { apiUrl, webSocketUrl, endpoints, credentials, region } = cloud;
  if (apiUrl === undefined || webSocketUrl === undefined)
    throw new CommandError(
      'no-api',
      'The template has no HTTP API or no WebSocket API. Check the constructs in lib/.',
    );
  return { apiUrl, webSocketUrl, token, pid: process.pid, endpoints, credentials, region };
};

const startHosts = async (
  wanted: readonly LocalHost[],
  stateDir: string,
  { apiUrl, token }: LocalFile,
  { undo, stopping }: { readonly undo: Undo; readonly stopping: AbortSignal },
): Promise<{ readonly ready: number; readonly wanted: number }> => {
  if (wanted.length === 0) return { ready: 0, wanted: 0 };
  const client = new ApiClient(apiUrl, token);
  const hosts = new Hosts({
    apiUrl,
    stateDir,
    say,
    enrollmentToken: () => client.enrollmentToken(),
  });
  undo.add(() => hosts.stop());
  for (const host of wanted) hosts.start(host);
  const ready = await withProgress(
    'waiting for the hosts',
    client.waitForHosts(wanted.length, HOSTS_READY_SECONDS, stopping),
  );
  return { ready, wanted: wanted.length };
};

const run = async (options: LocalOptions, undo: Undo, stopping: AbortSignal): Promise<void> => {
  const began = performance.now();
  const stateDir = prepareState(options, undo);
  const [{ cloud, token }, wanted] = await Promise.all([
    openCloud(options, stateDir),
    chooseHosts(options, { report: (line) => say(`setting up this machine as a host: ${line}`), say }),
  ]);
  undo.add(() => cloud.stop());
  const local = describe(cloud, token);
  keepPort(stateDir, local.apiUrl);
  if (stopping.aborted) return;
  const hosts = await startHosts(wanted, stateDir, local, { undo, stopping });
  if (stopping.aborted) return;
  writeLocalFile(stateDir, local);
  undo.add(() => removeLocalFile(stateDir));
  const seconds = (performance.now() - began) / 1000;
  if (options.json) console.log(JSON.stringify({ ...local, stateDir, hostsReady: hosts.ready, seconds }));
  else console.log(readyMessage({ local, seconds, stateDir, hosts, ephemeral: options.ephemeral }));
};

/** Resolves at the first signal. A later signal ends the process immediately. */
const untilSignal = (stopping: AbortController): Promise<void> =>
  new Promise((resolve) => {
    let firstAt: number | undefined;
    const onSignal = (): void => {
      firstAt ??= Date.now();
      stopping.abort();
      resolve();
      if (Date.now() - firstAt > SAME_SIGNAL_MS) process.exit(130);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });

const end = async (undo: Undo): Promise<void> => {
  const limit = setTimeout(() => {
    say(
      `The parts did not stop within ${STOP_LIMIT_MS / 1000} s, so the process ends now. Accepted requests are kept.`,
    );
    process.exit(1);
  }, STOP_LIMIT_MS);
  await undo.run();
  clearTimeout(limit);
};

const main = async (): Promise<number> => {
  const options = parseLocalOptions(process.argv.slice(2));
  if (options === undefined) return 0;
  const undo = new Undo();
  const stopping = new AbortController();
  const signalled = untilSignal(stopping);
  try {
    await run(options, undo, stopping.signal);
    await signalled;
    if (!options.json) say('\nStopping …');
    return 0;
  } finally {
    await withProgress('stopping', end(undo));
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  say(describeError(error));
  process.exitCode = 1;
}
// Do not wait for remaining handles, e.g. a keep-alive connection or a worker.
process.exit();
