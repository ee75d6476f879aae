import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exclusively } from '../../scripts/setup/linux-runtime/exclusively.ts';
import { CommandError } from './errors.ts';

/** The sources of the synthesized assembly. */
const SOURCES = [
  'bin/app.ts',
  'bin/local/synthesize.ts',
  'core',
  'functions',
  'lib',
  'package-lock.json',
  'package.json',
  'store',
  'workflow',
];

/** Number of assemblies to keep: a running cloud still reads its functions from an earlier one. */
const KEPT = 4;

const filesBeneath = (path: string): readonly string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path)
        .sort()
        .flatMap((name) => filesBeneath(join(path, name)))
    : [path];

/** The cache key: a hash of the sources and the context. */
const assemblyKey = (root: string, context: Readonly<Record<string, unknown>>): string => {
  const hash = createHash('sha256').update(JSON.stringify(context));
  for (const source of SOURCES.map((name) => join(root, name)).filter((path) => existsSync(path)))
    for (const file of filesBeneath(source))
      hash.update(`\n${file.slice(root.length)}\n`).update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
};

const removeOld = (folder: string): void => {
  const byAge = readdirSync(folder)
    .map((name) => ({ path: join(folder, name), time: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.time - a.time);
  for (const { path } of byAge.slice(KEPT)) rmSync(path, { recursive: true, force: true });
};

/** Creates the folder atomically. */
const synthesizeInto = async (root: string, target: string, context: string): Promise<void> => {
  const draft = `${target}.new`;
  // An earlier process may have been killed while it wrote.
  for (const path of [draft, target]) rmSync(path, { recursive: true, force: true });
  try {
    const script = join(root, 'bin/local/synthesize.ts');
    await promisify(execFile)(process.execPath, [script, draft, context], { cwd: root });
    renameSync(draft, target);
  } catch (cause) {
    const output = (cause as { readonly stderr?: string }).stderr?.trim() || String(cause);
    throw new CommandError('synthesis-failed', `The CDK app could not be synthesized:\n${output}`, { cause });
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};

/**
 * The cloud assembly of the current sources, from the cache or synthesized. Of concurrent calls, one synthesizes it.
 * @returns its directory
 * @throws CommandError with the output of the CDK
 */
export const assemblyOf = async (
  root: string,
  context: Readonly<Record<string, unknown>>,
): Promise<string> => {
  const folder = join(root, '.bulkhead', 'assembly');
  const target = join(folder, assemblyKey(root, context));
  const lock = createHash('sha256').update(folder).digest('hex');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return exclusively(`bulkhead-assembly-${lock}`, async () => {
    if (!existsSync(join(target, 'manifest.json')))
      await synthesizeInto(root, target, JSON.stringify(context));
    const now = new Date();
    utimesSync(target, now, now);
    removeOld(folder);
    return target;
  });
};
