import { Authenticity, type AuthenticityDeps } from './authenticity/authenticity.ts';
import { type CommandGate, createCommandGate } from './authenticity/command-gate.ts';
import { type Cancel, type Clock, nothingToCancel } from './clock.ts';
import { messageOf } from './errors.ts';
import { type CommandHandler, createCommandHandler } from './execute/command-handler.ts';
import { ExclusiveRunner } from './execute/exclusive-runner.ts';
import { withNewestPolicy } from './execute/newest-policy.ts';
import { observe, observeAll } from './execute/observe.ts';
import { createSupervisor } from './execute/supervisor.ts';
import { withStarts } from './execute/with-starts.ts';
import { Link } from './link/link.ts';
import { RESULT_BYTES } from './link/outgoing.ts';
import type { Transport, TransportHandlers } from './link/transport.ts';
import type { Log } from './log.ts';
import type { Runtime } from './runtimes/runtime.ts';
import { Sessions } from './sessions/sessions.ts';
import type { AgentState } from './state/agent-state.ts';

interface AgentDeps {
  readonly hostId: string;
  readonly agentVersion: string;
  readonly state: AgentState;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  readonly log: Log;
  /** Store of the control plane's keys. */
  readonly commandKeys: AuthenticityDeps['keys'];
  readonly dial: (handlers: TransportHandlers) => Promise<Transport>;
}

export interface Agent {
  /** Cleans up after an earlier run, then connects. Resolves when it has started to connect. */
  start(): Promise<void>;
  /** Disconnects. Containers continue to run, and unfinished commands resume at the next start. The runtime stays open. */
  stop(): void;
}

/** Maximum number of parallel steps over all containers. */
const PARALLEL_TASKS = 32;
/** Maximum time of the clean-up before the agent connects, in milliseconds. */
const TIDY_TIMEOUT_MS = 10_000;
/** Far longer than the time in which a command can be delivered again. */
const PRUNE_AFTER_MS = 24 * 60 * 60 * 1_000;
const PRUNE_EVERY_MS = 60 * 60 * 1_000;

/** Connects the parts: commands and the restart policy act on the runtime, and the connection reports changes. */
export const createAgent = (given: AgentDeps): Agent => {
  const runtime = withStarts(withNewestPolicy(given.runtime, given.state), (id) => sessions.mainStarted(id));
  const deps = { ...given, runtime };
  const { state, clock, log } = deps;
  const runner = new ExclusiveRunner(PARALLEL_TASKS);
  const supervisor = createSupervisor({
    ...deps,
    runner,
    report: (containerId) => link.report({ containerId }),
  });
  const sessions: Sessions = new Sessions({ ...deps, send: (message) => link.sendSessionMessage(message) });
  const handler: CommandHandler = createCommandHandler({
    ...deps,
    runner,
    sessions,
    resultBytes: RESULT_BYTES,
    onAnswered: (commandId) => link.sendResult(commandId),
    onProgress: (commandId, steps) => link.sendProgress(commandId, steps),
    onSettled: (containerId) => void supervisor.consider(containerId),
    onImagesChanged: () => link.report({ images: true }),
  });
  const authenticity = new Authenticity({ ...deps, keys: deps.commandKeys });
  const gate: CommandGate = createCommandGate({
    ...{ ...deps, authenticity, handler },
    report: (commandId, reason) => link.sendRefusal(commandId, reason),
    askForKeys: () => link.sendHello(),
  });
  const link: Link = new Link({
    ...deps,
    facts: () => runtime.facts(),
    images: () => runtime.images(),
    observeAll: () => observeAll(deps),
    observe: (containerId) => observe(deps, containerId),
    inProgress: () => handler.inProgress(),
    commandKey: () => authenticity.newestKey,
    onKeys: (helloId, introduction) => {
      authenticity.acceptWelcome(helloId, introduction);
      gate.confirmUnknownKeys();
    },
    onCommand: (signed) => gate.receive(signed),
    onUnsignedCommand: (commandId) => gate.refuse(commandId, 'unsigned'),
    onSessionMessage: (message) => sessions.receive(message),
    onConnected: () => sessions.reconnected(),
  });
  let cancelPrune: Cancel = nothingToCancel;

  const prune = (): void => {
    try {
      state.prune(new Date(clock.now().getTime() - PRUNE_AFTER_MS));
    } catch (error) {
      log.error('could not prune the journal', { cause: messageOf(error) });
    }
    cancelPrune = clock.after(PRUNE_EVERY_MS, prune);
  };

  /** Starts from the actual state: running containers are adopted unchanged, ended ones are cleaned up or restarted. */
  const recover = async (): Promise<void> => {
    const tidied = supervisor.tidy();
    handler.resume();
    const considered = state.containers().map(({ id }) => supervisor.consider(id));
    let cancel: Cancel = nothingToCancel;
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(TIDY_TIMEOUT_MS, resolve);
    });
    await Promise.race([Promise.all([tidied, ...considered]), late]);
    cancel();
  };

  return {
    start: async () => {
      runtime.onExit((containerId) => {
        sessions.mainEnded(containerId);
        link.report({ containerId });
        void supervisor.consider(containerId);
      });
      prune();
      await recover();
      link.start();
    },
    stop: () => {
      cancelPrune();
      supervisor.stop();
      sessions.close();
      link.stop();
      state.close();
    },
  };
};
