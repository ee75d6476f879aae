import type { OsFamily } from '../../../core/contract/host.ts';

/** How a simulated main process behaves. */
type Behaviour =
  | {
      readonly kind: 'runs';
      /** Duration until it ends by itself; null if it runs until it is stopped. */
      readonly seconds: number | null;
      readonly exitCode: number;
      /** Ignores the request to stop, so that it must be killed. */
      readonly stubborn: boolean;
    }
  | { readonly kind: 'notFound'; readonly program: string };

const runs = (seconds: number | null, exitCode = 0, stubborn = false): Behaviour => ({
  kind: 'runs',
  seconds,
  exitCode,
  stubborn,
});

const FOREVER = runs(null);
const INSTANTLY = 0;

/** The value after a flag such as `/t` or `-n`; null if the flag is missing. */
const flag = (args: readonly string[], name: RegExp): number | null => {
  const at = args.findIndex((arg) => name.test(arg));
  const value = at < 0 ? Number.NaN : Number(args[at + 1]);
  return Number.isFinite(value) ? value : null;
};

/** The last `exit N` or `sleep N` of a script decides. With `trap ''` it ignores the request to stop. */
const script = (text: string): Behaviour => {
  const exit = /\bexit\s+(?:\/b\s+)?(\d+)\s*$/i.exec(text);
  const pause = /\b(?:start-)?sleep\s+(?:-s\s+)?(\d+(?:\.\d+)?)/i.exec(text);
  const stubborn = /\btrap\s+(''|"")/.test(text);
  const seconds = pause === null ? INSTANTLY : Number(pause[1]);
  return runs(seconds, exit === null ? 0 : Number(exit[1]) % 256, stubborn);
};

const shell =
  (scriptFlag: RegExp) =>
  (args: readonly string[]): Behaviour => {
    const at = args.findIndex((arg) => scriptFlag.test(arg));
    return at < 0 ? FOREVER : script(args.slice(at + 1).join(' '));
  };

type Program = (args: readonly string[]) => Behaviour;
const instantly =
  (exitCode: number): Program =>
  () =>
    runs(INSTANTLY, exitCode);

const LINUX: Readonly<Record<string, Program>> = {
  sh: shell(/^-c$/),
  sleep: ([seconds]) => (seconds === 'infinity' ? FOREVER : runs(Number(seconds) || 0)),
  true: instantly(0),
  false: instantly(1),
  echo: instantly(0),
  cat: () => FOREVER,
};

const WINDOWS: Readonly<Record<string, Program>> = {
  cmd: shell(/^\/[ck]$/i),
  powershell: shell(/^-(c|command)$/i),
  ping: (args) => (args.includes('-t') ? FOREVER : runs(Math.max(0, (flag(args, /^-n$/i) ?? 4) - 1))),
  timeout: (args) => runs(flag(args, /^\/t$/i) ?? 0),
  hostname: instantly(0),
  whoami: instantly(0),
};

const PROGRAMS: Readonly<Record<OsFamily, Readonly<Record<string, Program>>>> = {
  linux: LINUX,
  windows: WINDOWS,
};

/** `C:\Windows\System32\CMD.EXE` is `cmd`, `/bin/sh` is `sh`. */
const programName = (family: OsFamily, path: string): string => {
  const name = path.split(family === 'windows' ? /[\\/]/ : '/').at(-1) ?? path;
  return family === 'windows' ? name.toLowerCase().replace(/\.exe$/, '') : name;
};

/** The behavior of a command of an image of this family. The program may have a path. */
export const behaviourOf = (family: OsFamily, command: readonly string[]): Behaviour => {
  const [path = '', ...args] = command;
  const name = programName(family, path);
  const program = Object.hasOwn(PROGRAMS[family], name) ? PROGRAMS[family][name] : undefined;
  return program ? program(args) : { kind: 'notFound', program: path };
};
