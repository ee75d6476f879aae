import type { RefusalReason, Signed } from '../../core/contract/agent/signed.ts';
import type { Clock } from '../clock.ts';
import type { CommandHandler } from '../execute/command-handler.ts';
import { claimedId, readCommand } from '../link/read-command.ts';
import type { Log } from '../log.ts';
import type { Authenticity } from './authenticity.ts';

interface CommandGateDeps {
  readonly hostId: string;
  readonly authenticity: Pick<Authenticity, 'judge'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  readonly handler: Pick<CommandHandler, 'receive' | 'refuse'>;
  /** Tells the control plane, which records it for the audit. */
  readonly report: (commandId: string, reason: RefusalReason) => void;
  /** Says hello again: the welcome tells of keys that are new. */
  readonly askForKeys: () => void;
}

export interface CommandGate {
  receive(signed: Signed): void;
  refuse(commandId: string, reason: RefusalReason): void;
  /** To be called after a welcome: keys that it did not announce are unknown from now on. */
  confirmUnknownKeys(): void;
}

/** Between two questions about unknown keys, in milliseconds: a flood of forged commands is no flood of hellos. */
const ASK_EVERY_MS = 10_000;
/** Unknown keys that are remembered. */
const MOST_KEYS = 64;

/**
 * The one way by which a command reaches the executor: its signature is verified before its payload is parsed, then its
 * host, its expiry and that it is not a repetition of one that was forgotten. What is refused is reported and logged by
 * its id and the reason, never with its arguments.
 *
 * A key that the host does not know may be one that was announced since its last welcome: it asks once, and the command
 * is sent again after the welcome. Refused is what a key signed that is unknown even then.
 */
export const createCommandGate = (deps: CommandGateDeps): CommandGate => {
  const { hostId, authenticity, clock, log, handler } = deps;
  const asked = new Set<string>();
  const unknown = new Set<string>();
  let askedAtMs = Number.NEGATIVE_INFINITY;

  const refuse = (commandId: string, reason: RefusalReason): void => {
    log.warn('refused a command that is not authentic', { commandId, reason });
    deps.report(commandId, reason);
  };

  const ask = (keyId: string): void => {
    if (clock.monotonicMs() - askedAtMs < ASK_EVERY_MS) return;
    askedAtMs = clock.monotonicMs();
    asked.add(keyId);
    deps.askForKeys();
  };

  /** @returns why it is refused, if it is */
  const take = (payload: string, nowMs: number): RefusalReason | undefined => {
    const reading = readCommand(payload);
    if (reading.kind === 'unreadable') return 'unreadable';
    const { expiresAtMs } = reading;
    if ((reading.kind === 'command' ? reading.command.hostId : reading.hostId) !== hostId)
      return 'other-host';
    if (expiresAtMs < nowMs) return 'expired';
    if (reading.kind === 'command')
      return handler.receive(reading.command, { nowMs, expiresAtMs }) === 'replayed' ? 'replayed' : undefined;
    handler.refuse(reading.commandId, reading.error);
    return undefined;
  };

  const judge = (signed: Signed): RefusalReason | undefined => {
    const judgement = authenticity.judge(signed);
    if (judgement.kind === 'authentic') return take(signed.payload, judgement.nowMs);
    if (judgement.kind === 'no-time') {
      log.debug('dropped a command that came before the welcome');
      return undefined;
    }
    if (judgement.reason !== 'unknown-key' || unknown.has(signed.keyId)) return judgement.reason;
    ask(signed.keyId);
    return undefined;
  };

  return {
    receive: (signed) => {
      const reason = judge(signed);
      if (reason !== undefined) refuse(claimedId(signed.payload), reason);
    },
    refuse,
    confirmUnknownKeys: () => {
      if (unknown.size + asked.size > MOST_KEYS) unknown.clear();
      for (const keyId of asked) unknown.add(keyId);
      asked.clear();
    },
  };
};
