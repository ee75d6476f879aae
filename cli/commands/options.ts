import { type Command, InvalidArgumentError, Option } from 'commander';

/** Parsers of option values. Each error states the accepted form. */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Must be a whole number from ${min} to ${max}.`);
  };

export const positiveNumber = (text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('Must be a number greater than 0.');
};

/** Parses `512`, `512m`, `2g`, `1048576k` or `1073741824b`. Without a unit the number is in MiB. @returns MiB */
export const megabytes = (text: string): number => {
  const [, digits, unit = 'm'] = /^(\d+)([bkmg])?$/i.exec(text) ?? [];
  if (digits === undefined)
    throw new InvalidArgumentError('Must be a size in MiB, or a number with k, m or g: 512m, 2g.');
  const factor = { b: 1 / 1024 / 1024, k: 1 / 1024, m: 1, g: 1024 }[unit.toLowerCase()] ?? 1;
  return Math.ceil(Number(digits) * factor);
};

/** Parses a repeatable `key=value`. */
export const keyValue = (text: string, before: Readonly<Record<string, string>> = {}) => {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Must have the form KEY=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
};

export const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];

const PORT = /^(?:(127\.0\.0\.1):(?=\d*:))?(?:(\d{0,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/;

export interface PortOption {
  readonly hostPort?: number;
  readonly containerPort: number;
  readonly protocol?: 'tcp' | 'udp';
  readonly hostAddress?: '127.0.0.1';
}

/** Parses a repeatable port such as `8080:80/tcp`, `80` or `127.0.0.1:8080:80`. */
export const port = (text: string, before: readonly PortOption[] = []): PortOption[] => {
  const [, hostAddress, hostPort, containerPort, protocol] = PORT.exec(text) ?? [];
  if (containerPort === undefined)
    throw new InvalidArgumentError('Must have the form [[127.0.0.1:][HOSTPORT]:]CONTAINERPORT[/tcp|udp].');
  return [
    ...before,
    {
      ...(hostPort ? { hostPort: Number(hostPort) } : {}),
      containerPort: Number(containerPort),
      ...(protocol === undefined ? {} : { protocol: protocol as 'tcp' | 'udp' }),
      ...(hostAddress === undefined ? {} : { hostAddress: '127.0.0.1' as const }),
    },
  ];
};

export interface RestartOption {
  readonly name: 'no' | 'on-failure' | 'always';
  readonly maxRetries?: number;
}

/** Parses `no`, `always`, `on-failure` or `on-failure:5`. */
export const restartPolicy = (text: string): RestartOption => {
  const [, name, retries] = /^(no|always|on-failure)(?::(\d{1,4}))?$/.exec(text) ?? [];
  if (name === undefined || (retries !== undefined && name !== 'on-failure'))
    throw new InvalidArgumentError('Must be no, always, on-failure or on-failure:RETRIES.');
  return {
    name: name as RestartOption['name'],
    ...(retries === undefined ? {} : { maxRetries: Number(retries) }),
  };
};

/** Options that every mutation has. */
export interface MutationOptions {
  readonly dryRun?: true;
  readonly ifMatch?: string;
  readonly idempotencyKey?: string;
}

export interface WaitingOptions extends MutationOptions {
  readonly wait: boolean;
}

export const addMutationOptions = (command: Command, { ifMatch }: { readonly ifMatch: boolean }): Command => {
  command.option('--dry-run', 'show what would be done, without doing it');
  if (ifMatch)
    command.option('--if-match <etag>', 'fail unless the resource has this revision, e.g. \'"3"\'');
  return command.addOption(
    new Option(
      '--idempotency-key <key>',
      'key that identifies the request; a repeat with the same key is not executed again',
    ),
  );
};

export const addWaitOption = (command: Command): Command =>
  command.option('--no-wait', 'return when the request is accepted, and show the operation');

/** The parts of a call that come from the options of a mutation. */
export const mutationOf = ({ dryRun, ifMatch, idempotencyKey }: MutationOptions) => ({
  ...(ifMatch === undefined ? {} : { ifMatch: /^\d+$/.test(ifMatch) ? `"${ifMatch}"` : ifMatch }),
  ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  query: dryRun === true ? ({ dryRun: 'true' } as const) : {},
});

/** Examples at the end of a command's help. */
export const examples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);
