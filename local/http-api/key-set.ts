import { type CryptoKey, importJWK, type JWK } from 'jose';
import type { Clock } from '../engine.ts';
import { LocalCloudError } from '../errors.ts';

/** API Gateway caches a public key for two hours and waits 1.5 s for the issuer. */
const KEPT_MS = 2 * 60 * 60_000;
const FETCH_MS = 1_500;
/** Minimum interval between fetches of the keys for tokens with an unknown key id. */
const REFETCH_MS = 10_000;

/** The issuer's keys cannot be fetched. */
export class IssuerUnreachableError extends LocalCloudError {
  readonly code = 'issuer-unreachable';
}

const fetchJson = async (url: string): Promise<Record<string, unknown>> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS) });
    if (!response.ok) throw new IssuerUnreachableError(`${url} answered ${response.status}`);
    const document: unknown = await response.json();
    return typeof document === 'object' && document !== null ? (document as Record<string, unknown>) : {};
  } catch (cause) {
    throw cause instanceof IssuerUnreachableError ? cause : new IssuerUnreachableError(url, { cause });
  }
};

/** The public keys of an OIDC issuer, found by discovery. */
export class KeySet {
  readonly #location: string;
  readonly #clock: Clock;
  #keys: ReadonlyMap<string, CryptoKey | Uint8Array> = new Map();
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  /** @param location the issuer's URL */
  constructor(location: string, clock: Clock) {
    this.#location = location;
    this.#clock = clock;
  }

  /** @throws IssuerUnreachableError */
  async find(keyId: string): Promise<CryptoKey | Uint8Array | undefined> {
    const age = this.#clock.now() - this.#fetchedAt;
    const isKnown = this.#keys.has(keyId);
    if (age > KEPT_MS || (!isKnown && age > REFETCH_MS)) await this.#refresh();
    return this.#keys.get(keyId);
  }

  #refresh(): Promise<void> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    const discovery = `${this.#location.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { jwks_uri: location } = await fetchJson(discovery);
    if (typeof location !== 'string') throw new IssuerUnreachableError(`${discovery} names no jwks_uri`);
    const { keys } = await fetchJson(location);
    const found = new Map<string, CryptoKey | Uint8Array>();
    for (const key of Array.isArray(keys) ? (keys as readonly JWK[]) : [])
      if (key.kty === 'RSA' && typeof key.kid === 'string')
        found.set(key.kid, await importJWK(key, key.alg ?? 'RS256'));
    this.#keys = found;
    this.#fetchedAt = this.#clock.now();
  }
}
