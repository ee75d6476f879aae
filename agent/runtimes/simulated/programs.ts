import type { Process } from '../../../core/contract/compute-process.ts';
import type { OsFamily } from '../../../core/contract/host.ts';
import { SIGNALS } from '../../../core/contract/session.ts';
import { type Clock, sleep } from '../../clock.ts';
import type { Io, Program } from './simulated-process.ts';
import { createLineReader } from './terminal.ts';

/** The environment of a program in a simulated container. */
export interface Surroundings {
  readonly family: OsFamily;
  readonly hostName: string;
  /** Release of the container's kernel, which is the host's or the utility VM's. */
  readonly kernel: string;
  readonly version: string;
  readonly userName: string;
  readonly env: Readonly<Record<string, string>>;
  readonly processes: () => readonly Process[];
  readonly clock: Clock;
}

const NOT_FOUND = 127;
type Run = (args: readonly string[], io: Io, around: Surroundings) => Promise<number>;

const says =
  (text: (around: Surroundings, args: readonly string[]) => string): Run =>
  async (args, io, around) => {
    await print(io, text(around, args));
    return 0;
  };

const print = (io: Io, text: string): Promise<void> =>
  io.write(io.tty ? `${text.replaceAll('\n', '\r\n')}\r\n` : `${text}\n`);

const table = (rows: readonly (readonly (string | number)[])[]): string =>
  rows
    .map((row) =>
      row
        .map((cell) => String(cell).padEnd(10))
        .join(' ')
        .trimEnd(),
    )
    .join('\n');

const listProcesses = ({ family, processes }: Surroundings): string => {
  const rows = processes().map(({ pid, name, userName }) => [pid, userName, name]);
  return family === 'windows'
    ? table([
        ['Id', 'ProcessName'],
        ...rows.map(([pid, , name]) => [pid ?? 0, String(name).replace(/\.exe$/, '')]),
      ])
    : table([['PID', 'USER', 'COMMAND'], ...rows]);
};

/** Copies input to output unchanged. */
const copy: Run = async (_args, io) => {
  for (let data = await io.read(); data !== null; data = await io.read()) await io.write(data);
  return 0;
};

const pause: Run = async ([seconds = '0'], io, { clock }) => {
  const wanted = seconds === 'infinity' ? 2_000_000 : Number(seconds);
  await sleep(clock, Math.min(wanted, 2_000_000) * 1_000, io.signal);
  return 0;
};

const kernelName: Run = says(({ kernel, hostName }, [option]) =>
  option === '-r' ? kernel : option === '-a' ? `Linux ${hostName} ${kernel} (simulated)` : 'Linux',
);

const COMMON: Readonly<Record<string, Run>> = {
  hostname: says(({ hostName }) => hostName),
  whoami: says(({ userName }) => userName),
  echo: says((_around, args) => args.join(' ')),
};
const PROGRAMS: Readonly<Record<OsFamily, Readonly<Record<string, Run>>>> = {
  linux: {
    ...COMMON,
    sh: (args, io, around) => shell(args, /^-c$/, io, around),
    cat: copy,
    true: async () => 0,
    false: async () => 1,
    sleep: pause,
    uname: kernelName,
    ps: says(listProcesses),
    env: says(({ env }) =>
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    ),
  },
  windows: {
    ...COMMON,
    cmd: (args, io, around) => shell(args, /^\/[ck]$/i, io, around),
    powershell: (args, io, around) => shell(args, /^-(c|command)$/i, io, around),
    ver: says(({ version }) => `Microsoft Windows [Version ${version}] (simulated)`),
    tasklist: says(listProcesses),
    'get-process': says(listProcesses),
    'start-sleep': (args, io, around) => pause(args.slice(-1), io, around),
    more: copy,
    set: says(({ env }) =>
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    ),
  },
};

const nameOf = (family: OsFamily, path: string): string =>
  family === 'windows'
    ? (path.split(/[\\/]/).at(-1) ?? path).toLowerCase().replace(/\.exe$/, '')
    : (path.split('/').at(-1) ?? path);

const find = (family: OsFamily, path: string): Run | null => {
  const name = nameOf(family, path);
  return Object.hasOwn(PROGRAMS[family], name) ? (PROGRAMS[family][name] ?? null) : null;
};

const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  );

/** Runs one line of a script. `exit` ends the script with a code. */
const runLine = async (
  line: string,
  io: Io,
  around: Surroundings,
  last: number,
): Promise<{ code: number; exits: boolean }> => {
  const [name, ...args] = words(line);
  if (name === undefined) return { code: last, exits: false };
  if (name.toLowerCase() === 'exit') return { code: Number(args.at(-1) ?? last) & 255, exits: true };
  const run = find(around.family, name);
  if (run !== null) return { code: await run(args, io, around), exits: false };
  await io.write(`${name}: not found on the simulated machine${io.tty ? '\r' : ''}\n`, 'stderr');
  return { code: NOT_FOUND, exits: false };
};

const runScript = async (text: string, io: Io, around: Surroundings, last = 0) => {
  let done = { code: last, exits: false };
  for (const line of text.split(/;|&&|\n/)) {
    done = await runLine(line, io, around, done.code);
    if (done.exits) break;
  }
  return done;
};

/** Runs a line. ^C ends the line, but not the shell. */
const interruptible = async (
  { signal }: AbortController,
  io: Io,
  run: (io: Io) => Promise<{ code: number; exits: boolean }>,
) => {
  const interrupted = new Promise<{ code: number; exits: boolean }>((resolve) => {
    signal.addEventListener('abort', () => resolve({ code: 128 + SIGNALS.INT, exits: false }), {
      once: true,
    });
  });
  const ran = run({ ...io, signal: AbortSignal.any([io.signal, signal]) });
  ran.catch(() => undefined);
  const done = await Promise.race([ran, interrupted]);
  if (signal.aborted && io.tty) await io.write('^C\r\n');
  return done;
};

const shell = async (
  args: readonly string[],
  flag: RegExp,
  io: Io,
  around: Surroundings,
): Promise<number> => {
  const at = args.findIndex((arg) => flag.test(arg));
  if (at >= 0) return (await runScript(args.slice(at + 1).join(' '), io, around)).code;
  const prompt = around.family === 'windows' ? 'C:\\>' : '$ ';
  const readLine = createLineReader(io);
  let foreground: AbortController | null = null;
  io.onInterrupt(() => {
    foreground?.abort(SIGNALS.INT);
    return foreground !== null;
  });
  if (io.tty) await print(io, 'Simulated shell: no program runs here. It supports a few commands and exit.');
  for (let code = 0; ; ) {
    if (io.tty) await io.write(prompt);
    const line = await readLine();
    if (line === null) return code;
    foreground = new AbortController();
    const done = await interruptible(foreground, io, (own) => runScript(line, own, around, code));
    foreground = null;
    code = done.code;
    if (done.exits) return code;
  }
};

/** Finds the program of a command; null if the simulated image does not have it. */
export const programOf = (command: readonly string[], around: Surroundings): Program | null => {
  const [path = '', ...args] = command;
  const run = find(around.family, path);
  return run === null ? null : (io) => run(args, io, around);
};
