#!/usr/bin/env node
/**
 * The agent's program: parses options, connects the parts, and stops on a signal. The real clock, randomness and ids are
 * created here and injected everywhere else.
 */
import './quiet-warnings.ts';
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { createAgent } from './agent.ts';
import { systemClock } from './clock.ts';
import { EXIT_CODES, messageOf, StartupError } from './errors.ts';
import { enroll } from './link/enroll.ts';
import { signHostToken } from './link/host-token.ts';
import {
  commandKeysIn,
  type Enrollment,
  type HostKey,
  loadEnrollment,
  loadOrMakeKey,
  saveEnrollment,
} from './link/identity.ts';
import { openTransport } from './link/transport.ts';
import { createLog, type Log } from './log.ts';
import { openRuntime } from './open-runtime.ts';
import { type AgentOptions, parseOptions } from './options.ts';
import type { Runtime } from './runtimes/runtime.ts';
import { openSqliteState } from './state/sqlite-state.ts';
import { refuseNewerState, stateFiles, upgradeIdentity } from './state-directory.ts';
import { AGENT_VERSION } from './version.ts';

const openState = (options: AgentOptions) => {
  const file = stateFiles(options.stateDir).journal;
  try {
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
    return openSqliteState(file, systemClock);
  } catch (error) {
    const why = /locked/.test(messageOf(error))
      ? `another agent uses ${options.stateDir}; stop it, or set another --state-dir`
      : `${file} cannot be used (${messageOf(error)}); check the directory's permissions and free space`;
    throw new StartupError(EXIT_CODES.stateUnusable, `The agent cannot start: ${why}.`, error);
  }
};

const enrollment = async (
  options: AgentOptions,
  key: HostKey,
  runtime: Runtime,
  agentVersion: string,
  deps: { log: Log; signal: AbortSignal },
): Promise<Enrollment> => {
  const kept = loadEnrollment(options.stateDir);
  if (kept !== null) return kept;
  const token = options.enrollmentToken;
  if (token === undefined)
    throw new StartupError(
      EXIT_CODES.usage,
      'This host is not enrolled: set BULKHEAD_ENROLLMENT_TOKEN to a token from bulkhead host enroll.',
    );
  const name =
    options.name ?? (options.runtime === 'simulated' ? `simulated-${options.simulate}` : hostname());
  const facts = await runtime.facts();
  const made = await enroll(
    options.apiUrl,
    { token, name, publicKey: key.publicKey, agentVersion, facts },
    { ...deps, clock: systemClock, random: Math.random, fetch },
  );
  saveEnrollment(options.stateDir, made);
  deps.log.info('enrolled', { hostId: made.hostId, name });
  return made;
};

/** Aborted when the agent must stop: by a signal, or by the end of its parent. */
const stopSignal = (options: AgentOptions, log: Log): AbortSignal => {
  const controller = new AbortController();
  const stop = (why: string) => () => {
    if (!controller.signal.aborted) log.info('stopping; containers continue to run', { why });
    controller.abort();
  };
  process.once('SIGTERM', stop('SIGTERM'));
  process.once('SIGINT', stop('SIGINT'));
  if (options.exitWithParent) {
    process.stdin.resume();
    for (const event of ['end', 'close', 'error']) process.stdin.once(event, stop('parent ended'));
    process.once('disconnect', stop('parent ended'));
  }
  return controller.signal;
};

const run = async (options: AgentOptions, log: Log): Promise<void> => {
  process.umask(0o077);
  const signal = stopSignal(options, log);
  await refuseNewerState(options.stateDir);
  const state = openState(options);
  await upgradeIdentity(options.stateDir, log);
  const { runtime, release } = await openRuntime(options, log);
  const agentVersion = `${AGENT_VERSION}+${runtime.name}`;
  const key = loadOrMakeKey(options.stateDir);
  const host = await enrollment(options, key, runtime, agentVersion, { log, signal });
  const agent = createAgent({
    hostId: host.hostId,
    agentVersion,
    state,
    runtime,
    clock: systemClock,
    random: Math.random,
    newId: randomUUID,
    log,
    commandKeys: commandKeysIn(options.stateDir),
    dial: async (handlers) => {
      const token = await signHostToken(host, key, { clock: systemClock, newId: randomUUID });
      return openTransport(host.webSocketUrl, token, systemClock, handlers);
    },
  });
  await agent.start();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  agent.stop();
  await release();
};

const main = async (): Promise<void> => {
  let log: Log | null = null;
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === null) return;
    log = createLog({
      level: options.logLevel,
      forPeople: process.stderr.isTTY === true,
      clock: systemClock,
      write: (line) => process.stderr.write(`${line}\n`),
    });
    await run(options, log);
    process.exit(EXIT_CODES.stopped);
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') process.exit(EXIT_CODES.stopped);
    const expected = error instanceof StartupError;
    if (log) log.error(messageOf(error));
    else process.stderr.write(`${messageOf(error)}\n`);
    process.exit(expected ? error.exitCode : EXIT_CODES.unexpected);
  }
};

await main();
