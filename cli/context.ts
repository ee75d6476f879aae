import type { Command } from 'commander';
import { Client } from '../core/client/index.ts';
import type { Io } from './io.ts';
import { widthOf } from './io.ts';
import { type Paint, paintFor } from './output/colours.ts';
import { type Field, renderFields } from './output/fields.ts';
import { type Column, renderTable } from './output/table.ts';
import { findSettings, type Settings } from './settings/find-settings.ts';
import { VERSION } from './version.ts';

export interface GlobalOptions {
  readonly output: 'table' | 'json';
  readonly apiUrl?: string;
}

/** The context of a command: the API, and output as text or JSON. */
export class Context {
  readonly io: Io;
  readonly isJson: boolean;
  readonly paint: Paint;
  readonly #options: GlobalOptions;
  #client: Client | undefined;

  constructor(io: Io, options: GlobalOptions) {
    this.io = io;
    this.#options = options;
    this.isJson = options.output === 'json';
    this.paint = paintFor(io.stdout, io);
  }

  get settings(): Settings {
    return findSettings(this.io, this.#options.apiUrl);
  }

  get client(): Client {
    this.#client ??= this.clientOf(this.settings);
    return this.#client;
  }

  clientOf({ apiUrl, token }: Pick<Settings, 'apiUrl' | 'token'>): Client {
    return new Client({
      apiUrl,
      fetch: this.io.fetch,
      userAgent: `bulkhead/${VERSION}`,
      onThrottled: (milliseconds) =>
        this.showNote(`Too many requests. Retrying in ${Math.ceil(milliseconds / 1000)} s …`),
      ...(token === undefined ? {} : { token }),
    });
  }

  get signal(): AbortSignal {
    return this.io.interrupted;
  }

  write(text: string): void {
    this.io.stdout.write(text);
  }

  /** Shows a note on stderr, so that stdout contains only the result. */
  showNote(line: string): void {
    if (!this.isJson) this.io.stderr.write(`${line}\n`);
  }

  showJson(value: unknown): void {
    this.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** Shows a list: as JSON with all members, or as a table with these columns. */
  showList<Item>(columns: readonly Column<Item>[], items: readonly Item[]): void {
    if (this.isJson) this.showJson(items);
    else this.write(renderTable(columns, items, this.#style()));
  }

  /** Shows one object: as JSON with all members, or these fields as text. */
  showItem<Item>(item: Item, fields: (item: Item) => readonly Field[]): void {
    if (this.isJson) this.showJson(item);
    else this.write(renderFields(fields(item), this.#style()));
  }

  #style() {
    return { paint: this.paint, width: widthOf(this.io.stdout) };
  }
}

/** The implementation of a command. */
export type Act<Arguments extends readonly unknown[], Options> = (
  context: Context,
  options: Options & GlobalOptions,
  ...args: Arguments
) => Promise<void>;

/** A commander action that runs `act` with a context. Commander passes the options and the command last. */
export const withContext =
  <Arguments extends unknown[], Options>(io: Io, act: Act<Arguments, Options>) =>
  async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalOptions>();
    await act(new Context(io, options), options, ...(given.slice(0, -2) as Arguments));
  };
