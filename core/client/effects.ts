import type { ClientSettings } from './types.ts';

export type Effects = Required<Omit<ClientSettings, 'token' | 'userAgent'>> &
  Pick<ClientSettings, 'token' | 'userAgent'>;

const sleep = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });

const ATTEMPTS = 5;

/** Defaults from the platform's globals, which exist in Node and in browsers. */
export const withDefaults = (settings: ClientSettings): Effects => ({
  sleep,
  random: Math.random,
  newKey: () => crypto.randomUUID(),
  now: Date.now,
  attempts: ATTEMPTS,
  onThrottled: () => {},
  ...settings,
  apiUrl: settings.apiUrl.replace(/\/+$/, ''),
});
