import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from './errors.ts';

interface HostList {
  readonly items: readonly { readonly name: string; readonly state: string }[];
}

/** The API calls of `npm start`. */
export class ApiClient {
  readonly #apiUrl: string;
  readonly #token: string;

  constructor(apiUrl: string, token: string) {
    this.#apiUrl = apiUrl;
    this.#token = token;
  }

  async enrollmentToken(): Promise<string> {
    const { token } = (await this.#call('POST', '/v1/hosts/enrollment-tokens')) as { readonly token: string };
    return token;
  }

  /** Waits at most `seconds` until `count` hosts are ready. @returns the number of ready hosts */
  async waitForHosts(count: number, seconds: number, signal: AbortSignal): Promise<number> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const { items } = (await this.#call('GET', '/v1/hosts?limit=200')) as HostList;
      const ready = items.filter(({ state }) => state === 'Ready').length;
      if (ready >= count || Date.now() > deadline || signal.aborted) return ready;
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  }

  async #call(method: string, path: string): Promise<unknown> {
    const response = await fetch(`${this.#apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}` },
    });
    if (response.ok) return await response.json();
    const output = await response.text();
    throw new CommandError('api-failed', `${method} ${path} returned ${response.status}: ${output}`);
  }
}
