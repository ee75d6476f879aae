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
  /** Reports to the control plane, which records it for the audit. */
  readonly report: (commandId: string, reason: RefusalReason) => void;
  /** Sends a hello again; the welcome announces new keys. */
  readonly askForKeys: () => void;
}

export interface CommandGate {
  receive(signed: Signed): void;
  refuse(commandId: string, reason: RefusalReason): void;
  /** Must be called after a welcome: keys that it did not announce are refused from now on. */
  confirmUnknownKeys(): void;
}

/** Minimum interval of hellos for unknown keys, in milliseconds, so that forged commands cannot cause a flood of hellos. */
const ASK_EVERY_MS = 10_000;
/** Maximum number of unknown keys to track. */
const MAX_KEYS = 64;

/**
 * Every command passes this gate: the signature is verified before the payload is parsed. Then host and expiry are checked,
 * and that the command does not repeat a pruned one. A refusal is reported and logged with id and reason, never with the arguments.
 *
 * An unknown key may have been announced since the last welcome: the host requests a welcome once, and the command is sent
 * again after it. If the key is still unknown then, the command is refused.
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

  /** @returns the reason of a refusal, if any */
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
      log.debug('dropped a command that arrived before the welcome');
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
      if (unknown.size + asked.size > MAX_KEYS) unknown.clear();
      for (const keyId of asked) unknown.add(keyId);
      asked.clear();
    },
  };
};
