import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SetUpRefusedError } from './refusal.ts';
import { runProgram } from './run-program.ts';

export const GUEST_SOURCES = 'agent/guest';
export const HELPER_SOURCES = 'agent/runtimes/linux/helper';
export const PRELOAD_SOURCES = 'agent/runtimes/linux/preload';
/** A part of both the guest's init and the host's helper. */
export const PROBE_SOURCES = 'agent/probe';
/** Sources that the helper shares with the guest: streams, users and the start of a program. */
const SHARED = [
  ...['channel.c', 'fields.c', 'streams.c', 'kept_output.c', 'cgroup.c', 'program.c', 'user.c', 'sealed.c'],
];
const FLAGS = ['-O2', '-s', '-Wall', '-Wextra', '-Werror=implicit-function-declaration'];
const PROGRAM = ['-static'];
const LIBRARY = ['-shared', '-fPIC'];

const refuse = (output: string) =>
  new SetUpRefusedError(
    'compile-failed',
    `The guest agent could not be compiled. Output of gcc:\n${output}`,
    'Install gcc and libc6-dev, then start again.',
  );

const sourcesIn = async (folder: string) =>
  (await readdir(folder))
    .filter((name) => name.endsWith('.c'))
    .sort()
    .map((name) => join(folder, name));

const compile = async (
  kind: readonly string[],
  sources: readonly string[],
  target: string,
): Promise<void> => {
  await runProgram('gcc', [...FLAGS, ...kind, '-o', target, ...sources], { refuse });
};

/** Paths of the compiled programs. */
export interface Compiled {
  readonly init: string;
  readonly helper: string;
  readonly preload: string;
}

/** Compiles the guest's init and the host's helper, both static, and the library for QEMU. */
export const compilePrograms = async (root: string, { init, helper, preload }: Compiled): Promise<void> => {
  const shared = SHARED.map((name) => join(root, GUEST_SOURCES, name));
  const probe = await sourcesIn(join(root, PROBE_SOURCES));
  await compile(PROGRAM, [...(await sourcesIn(join(root, GUEST_SOURCES))), ...probe], init);
  await compile(PROGRAM, [...(await sourcesIn(join(root, HELPER_SOURCES))), ...shared, ...probe], helper);
  await compile(LIBRARY, await sourcesIn(join(root, PRELOAD_SOURCES)), preload);
};
