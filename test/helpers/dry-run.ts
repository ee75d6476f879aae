import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One command line, as bash passes it to a program. */
export interface Invocation {
  readonly program: string;
  readonly args: readonly string[];
}

export interface DryRun {
  readonly invocations: readonly Invocation[];
  readonly exitCode: number | null;
  readonly stderr: string;
}

/** Programs in the documents, with their output in a dry run. Any other program is an error. */
const OUTPUTS: Readonly<Record<string, string>> = {
  aws: 'output',
  bulkhead: '',
  curl: '{}',
  docker: '',
  node: 'http://api.test',
  npm: '',
  npx: '',
};

/** An argument that ends a record. */
const RECORD_END = '\x1e\0';

/** Prints its name and arguments, each terminated by NUL, and reads its input to the end. */
const recorder = (program: string, output: string): string => `#!/bin/bash
printf '%s\\0' ${program} "$@" $'\\x1e' >> "$DRY_RUN_RECORD"
IFS= read -r -d '' _
printf '%s' '${output}'
`;

/**
 * Runs a shell script with bash, in which every program is replaced by one that records its arguments. The search path
 * contains only these, so nothing else can run.
 * @param variables the environment; an unset variable is an error
 */
export const dryRun = (script: string, variables: Readonly<Record<string, string>>): DryRun => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-dry-run-'));
  try {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    for (const [program, output] of Object.entries(OUTPUTS)) {
      writeFileSync(join(bin, program), recorder(program, output));
      chmodSync(join(bin, program), 0o755);
    }
    const record = join(folder, 'record');
    writeFileSync(record, '');
    const { status, stderr } = spawnSync(
      '/bin/bash',
      ['--norc', '-c', `set -euo pipefail\n${script}\nwait\n`],
      {
        cwd: folder,
        env: { ...variables, PATH: bin, DRY_RUN_RECORD: record },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const invocations = readFileSync(record, 'utf8')
      .split(RECORD_END)
      .filter((text) => text !== '')
      .map((text) => {
        const [program = '', ...args] = text.split('\0').slice(0, -1);
        return { program, args };
      });
    return { invocations, exitCode: status, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
