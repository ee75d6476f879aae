// node:sqlite and jest's modules work, although Node labels them as experimental.
const QUIET = '--disable-warning=ExperimentalWarning';
const JEST = ['--experimental-vm-modules', QUIET, 'node_modules/jest/bin/jest.js'];
const jest = (project) => ({
  args: [...JEST, '--selectProjects', project, '--passWithNoTests'],
  summary: `run the ${project} tests`,
});
/** Runs models and floods in full; without it they have the sizes of CI (`test/helpers/scaled.ts`). */
const IN_FULL = { BULKHEAD_LONG_TESTS: '1' };

/**
 * Flags and environment for less memory, at the same speed: threads share two heaps of the C library in place of eight per
 * core, and V8 collects young objects before they fill 48 MB in each thread.
 */
const SMALL = { flags: ['--max-semi-space-size=2'], env: { MALLOC_ARENA_MAX: '2' } };

/**
 * Every developer command: what Node 24 runs for it, and which system programs it needs (see `system-programs.mjs`).
 * @type {Readonly<Record<string, import('./types.d.mts').Command>>}
 */
export const COMMANDS = {
  start: {
    args: [QUIET, ...SMALL.flags, 'bin/local.ts'],
    env: SMALL.env,
    needs: ['data-plane'],
    summary: 'run all of Bulkhead on this machine',
  },
  demo: {
    args: [QUIET, 'bin/demo.ts'],
    needs: ['data-plane'],
    summary: 'run the documented workflow, row by row',
  },
  bulkhead: { args: [QUIET, 'bin/bulkhead.ts'], summary: 'run the CLI without installing it' },
  token: { args: ['bin/token.ts'], summary: 'create a token for the local API' },
  test: { args: JEST, needs: ['data-plane'], summary: 'run all tests' },
  'test:unit': jest('unit'),
  'test:integration': jest('integration'),
  'test:contract': jest('contract'),
  'test:cdk': jest('cdk'),
  'test:e2e': { ...jest('e2e'), needs: ['data-plane'] },
  'test:long': {
    args: JEST,
    env: IN_FULL,
    needs: ['data-plane'],
    summary: 'run all tests, with models and floods in full',
  },
  'test:debian12': {
    args: [QUIET, 'test/debian12/run.ts'],
    needs: ['data-plane'],
    summary: 'test Default containers on the kernel of Debian 12, under emulation',
  },
  'test:clients': {
    args: [QUIET, 'test/clients/run.ts'],
    needs: ['data-plane'],
    summary: 'run docker-py, testcontainers and dockerode against the bridge',
  },
  'test:model': {
    args: [...JEST, 'test/integration/functions/random-walk'],
    env: IN_FULL,
    needs: ['data-plane'],
    summary: 'test the model of container histories with 50,000 sequences',
  },
  check: {
    args: ['scripts/check.ts'],
    summary: 'check format, lint, types, import rules, generated documents and phrases',
  },
  docs: { args: ['scripts/generate-docs.ts'], summary: 'write the generated documents' },
  'docs:check': {
    args: ['scripts/generate-docs.ts', '--check'],
    summary: 'check that the generated documents are up to date',
  },
  synth: {
    args: ['bin/app.ts'],
    env: { CDK_OUTDIR: 'cdk.out' },
    summary: 'synthesize the CDK app into cdk.out',
  },
  'bench:runtime': {
    args: [QUIET, 'bench/runtime.ts'],
    needs: ['data-plane'],
    summary: 'measure the Linux runtime, runc and docker, and write docs/benchmarks.md',
  },
  'bench:session': {
    args: [QUIET, 'bench/session.ts'],
    needs: ['data-plane'],
    summary: 'measure the latency of a session, and write docs/benchmarks-session.md',
  },
  'bench:docker': {
    args: [QUIET, 'bench/docker-run.ts'],
    needs: ['data-plane'],
    summary: 'measure `docker run` through the bridge, and write docs/benchmarks-docker.md',
  },
  'bench:control-plane': {
    args: [QUIET, 'bench/control-plane.ts'],
    needs: ['data-plane'],
    summary: 'measure npm start under load, and write docs/benchmarks-control-plane.md',
  },
  'bench:stream': {
    args: [QUIET, 'bench/table-stream.ts'],
    summary: 'measure the processing of the table’s stream, and write docs/benchmarks-stream.md',
  },
  bench: {
    args: [QUIET, 'bench/all.ts'],
    needs: ['data-plane'],
    summary: 'run every benchmark, and write their reports into docs/',
  },
  'conformance:asl': {
    args: [QUIET, 'scripts/conformance-asl.ts'],
    summary: 'run recorded Step Functions executions',
  },
  'conformance:event-patterns': {
    args: ['scripts/conformance-event-patterns.ts'],
    summary: 'run recorded EventBridge matches',
  },
};

/** One line for each command, for `--help` and for an unknown name. */
export const commandList = () =>
  Object.entries(COMMANDS)
    .map(([name, { summary }]) => `  ${name.padEnd(28)}${summary}`)
    .join('\n');
