/** Secrets and their versions, in one file that only its owner can read. */
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { EngineStartError } from '../errors.ts';

export interface SecretVersion {
  readonly id: string;
  readonly value: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly stages: readonly string[];
}

export interface StoredSecret {
  readonly arn: string;
  readonly versions: readonly SecretVersion[];
}

const ownerOnly = 0o600;

export class SecretStore {
  readonly #file: string;
  readonly #secrets: Map<string, StoredSecret>;

  /** @throws EngineStartError if the file exists but has no secrets */
  constructor(file: string) {
    this.#file = file;
    this.#secrets = new Map(Object.entries(this.#read()));
  }

  /** @param nameOrArn as in the API */
  find(nameOrArn: string): { readonly name: string; readonly secret: StoredSecret } | undefined {
    for (const [name, secret] of this.#secrets)
      if (name === nameOrArn || secret.arn === nameOrArn) return { name, secret };
    return undefined;
  }

  /** Writes a new version as the current one. The former current version becomes the previous one. */
  put(name: string, arn: string, version: Omit<SecretVersion, 'stages'>): void {
    const before = this.#secrets.get(name)?.versions ?? [];
    const previous = before
      .filter(({ stages }) => stages.includes('AWSCURRENT'))
      .map((one) => ({ ...one, stages: ['AWSPREVIOUS'] }));
    this.#secrets.set(name, { arn, versions: [{ ...version, stages: ['AWSCURRENT'] }, ...previous] });
    this.#write();
  }

  #read(): Record<string, StoredSecret> {
    if (!existsSync(this.#file)) return {};
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8')) as Record<string, StoredSecret>;
    } catch (cause) {
      throw new EngineStartError(
        `${this.#file} has no secrets. Delete it; the next start generates new ones, and hosts must trust a new key.`,
        { cause },
      );
    }
  }

  #write(): void {
    const temporary = `${this.#file}.new`;
    writeFileSync(temporary, JSON.stringify(Object.fromEntries(this.#secrets)), {
      mode: ownerOnly,
      flush: true,
    });
    chmodSync(temporary, ownerOnly);
    renameSync(temporary, this.#file);
  }
}
