import { keyIdOf } from '../../core/authenticity/signing-key.ts';
import { type RefusalReason, ServerTimeSchema, type Signed } from '../../core/contract/agent/signed.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { ServerTime } from './server-time.ts';
import {
  endReplacedKeys,
  followKeys,
  newestKeyId,
  type TrustedKeys,
  trustAtFirst,
  verifySigned,
} from './trusted-keys.ts';

/** The keys and the time in a welcome. */
export interface KeyIntroduction {
  readonly signedTime?: Signed | undefined;
  readonly commandKeys?: readonly string[] | undefined;
  readonly nextKeys?: readonly Signed[] | undefined;
}

export interface AuthenticityDeps {
  readonly hostId: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  /** Persistent store of the keys. */
  readonly keys: { load(): TrustedKeys; save(keys: TrustedKeys): void };
}

/** `no-time`: there was no welcome yet; the control plane sends the command again after it. */
type Judgement =
  | { readonly kind: 'authentic'; readonly nowMs: number }
  | { readonly kind: 'no-time' }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/**
 * Verifies that a command comes from the control plane.
 *
 * Keys are pinned at enrollment. A host that enrolled before commands were signed trusts the keys of its first welcome,
 * once. After that a key is trusted only if its predecessor announces it. A welcome without a valid time has no effect.
 */
export class Authenticity {
  readonly #deps: AuthenticityDeps;
  readonly #time: ServerTime;
  #keys: TrustedKeys;

  constructor(deps: AuthenticityDeps) {
    this.#deps = deps;
    this.#time = new ServerTime(deps.clock);
    this.#keys = deps.keys.load();
  }

  get newestKey(): string | undefined {
    return newestKeyId(this.#keys);
  }

  /** @param helloId id of the hello that the welcome answers */
  acceptWelcome(helloId: string, { signedTime, commandKeys, nextKeys }: KeyIntroduction): void {
    const { log } = this.#deps;
    if (signedTime === undefined) {
      log.error('the control plane does not sign commands, so none is executed: update the control plane');
      return;
    }
    const first = this.#keys.length === 0;
    const known = first ? trustAtFirst(commandKeys ?? []) : this.#keys;
    // The expiry of a replaced key is set once the time is verified.
    const candidates = followKeys(known, nextKeys ?? [], 0);
    const nowMs = this.#timeIn(helloId, signedTime, candidates);
    if (nowMs === null) {
      log.error('a welcome is not signed by a key that this host trusts', { keyId: signedTime.keyId });
      return;
    }
    this.#time.learn(nowMs);
    const keys = endReplacedKeys(followKeys(known, nextKeys ?? [], nowMs), nowMs);
    if (keys === this.#keys) return;
    this.#keys = keys;
    this.#deps.keys.save(keys);
    const keyIds = keys.map(({ publicKey }) => keyIdOf(publicKey)).join(' ');
    if (first) log.warn('trusting the keys of the first welcome', { keyIds });
    else log.info('the trusted keys of the control plane have changed', { keyIds });
  }

  judge(signed: Signed): Judgement {
    if (signed.signature === '') return { kind: 'refused', reason: 'unsigned' };
    const nowMs = this.#time.now();
    const verification = verifySigned(this.#keys, 'command', signed, nowMs);
    if (verification !== 'verified') return { kind: 'refused', reason: verification };
    return nowMs === null ? { kind: 'no-time' } : { kind: 'authentic', nowMs };
  }

  #timeIn(helloId: string, signed: Signed, keys: TrustedKeys): number | null {
    const trusted = keys.map(({ publicKey }) => ({ publicKey, untilMs: null }));
    if (verifySigned(trusted, 'server-time', signed, null) !== 'verified') return null;
    const parsed = ServerTimeSchema.safeParse(JSON.parse(signed.payload));
    const { hostId } = this.#deps;
    if (!parsed.success || parsed.data.hostId !== hostId || parsed.data.messageId !== helloId) return null;
    return parsed.data.nowMs;
  }
}
