/** Native ES modules, TypeScript by swc (types are checked by `npm run check`). */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/cdk.out', '<rootDir>/.bulkhead'],
};
const project = (name, extra = {}) => ({
  ...common,
  displayName: name,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  ...extra,
});

export default {
  randomize: true,
  globalSetup: '<rootDir>/test/helpers/begin-test-run.ts',
  globalTeardown: '<rootDir>/test/helpers/end-test-run.ts',
  /** Finds hangs. Benchmarks measure speed. */
  testTimeout: 60_000,
  // One worker for each core: jest's default leaves one core idle, which is half of a machine with two. Files of all
  // kinds share the workers, because those with real VMs wait more than they compute.
  maxWorkers: '100%',
  workerIdleMemoryLimit: '1GB',
  projects: [project('unit'), project('integration'), project('contract'), project('cdk'), project('e2e')],
};
