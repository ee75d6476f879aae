/** Types that the parts of the bootstrap share. */
export interface Command {
  /** The arguments of Node 24: flags, the script, and the arguments of the script. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Groups of system programs. */
  readonly needs?: readonly string[];
  readonly summary: string;
}

export interface SystemProgram {
  readonly program: string;
  readonly package: string;
  readonly group: string;
  readonly purpose: string;
  readonly platforms: readonly string[];
}

export interface RunResult {
  readonly ok: boolean;
  /** The last thousand lines of stdout and stderr together, without empty ones. */
  readonly lines: readonly string[];
}

/** All access of the set-up to the machine. */
export interface Effects {
  readonly platform: string;
  readonly arch: string;
  /** Version of the Node that runs the bootstrap, such as `20.20.2`. */
  readonly nodeVersion: string;
  readonly nodePath: string;
  readonly isRoot: boolean;
  /** @param path relative to the checkout. @returns undefined if the file does not exist */
  read(path: string): Promise<string | undefined>;
  write(path: string, content: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  absolute(path: string): string;
  onPath(program: string): Promise<boolean>;
  /** Runs a program to its end, and shows its progress as `label`. */
  run(label: string, command: string, args: readonly string[]): Promise<RunResult>;
  npm(label: string, args: readonly string[]): Promise<RunResult>;
  /** Runs `work` while no other bootstrap of this checkout does. */
  exclusively<T>(label: string, work: () => Promise<T>): Promise<T>;
}
