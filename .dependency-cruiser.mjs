/**
 * The import rules of the architecture: imports run one way. Each rule names a forbidden import and the reason.
 * Paths are relative to the checkout; type-only imports count like any other.
 */
const OURS = '^(bin|lib|functions|core|store|workflow|agent|local|cli|test|scripts)/';
/** Conformance runs and the benchmark, which count as tests. */
const MEASURES = '^scripts/(conformance-|bench)';
/** Test helpers that start processes. */
const PROCESS_HELPERS =
  'test/helpers/(agent-process|agent-under-test|dry-run|dynoxide|local-cloud|run-cloud|run-program|small-disk|switch-world)\\.ts';
const PACKAGES = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'];

/** Packages that consist of `@types/…` only: there is no module to find. */
const TYPES_ONLY = '^aws-lambda$';

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** Of our folders, files in `folder` may import only those in `allowed`. */
const only = (folder, comment, allowed) =>
  forbid(
    `${folder.replace('/', '-')}-imports`,
    comment,
    { path: `^${folder}/` },
    { path: OURS, pathNot: allowed.map((one) => `^${one}/`) },
  );

const forbidden = [
  only('core/contract', 'the contract imports only itself and zod', ['core/contract']),
  forbid(
    'core-contract-packages',
    'the contract imports zod only: no SDK, no node:*, no clock',
    { path: '^core/contract/' },
    { dependencyTypes: [...PACKAGES, 'core'], pathNot: '(^|/)node_modules/zod/' },
  ),
  only('core/domain', 'the domain imports the contract', ['core/contract', 'core/domain']),
  forbid(
    'core-domain-packages',
    'the domain is pure: no SDK, no node:*; clock, ids and randomness are passed in',
    { path: '^core/domain/' },
    { dependencyTypes: [...PACKAGES, 'core'] },
  ),
  only('core/session', 'the window of a session imports the contract', ['core/contract', 'core/session']),
  forbid(
    'core-session-packages',
    'both ends of a session use its window, a browser among them: no node:*, no clock',
    { path: '^core/session/' },
    { dependencyTypes: [...PACKAGES, 'core'] },
  ),
  only('core/network', 'the evaluation of network policies imports the contract', [
    'core/contract',
    'core/network',
  ]),
  forbid(
    'core-network-packages',
    'control plane and hosts evaluate policies in the same way: pure, no SDK, no node:*',
    { path: '^core/network/' },
    { dependencyTypes: [...PACKAGES, 'core'] },
  ),
  only('core/client', 'the client imports the contract and the window of a session', [
    'core/client',
    'core/contract',
    'core/session',
  ]),
  forbid(
    'core-client-packages',
    'the client runs in a browser as in Node: zod for types, no other package, no node:*; fetch is passed in',
    { path: '^core/client/', pathNot: '/node-web-socket' },
    { dependencyTypes: [...PACKAGES, 'core'], pathNot: '(^|/)node_modules/zod/' },
  ),
  forbid(
    'core-client-importers',
    'the control plane does not call its own API',
    { path: '^(core/(contract|domain)|store|workflow|functions|lib|agent|local)/' },
    { path: '^core/client/' },
  ),
  only('store', 'the store imports core', ['store', 'core']),
  forbid(
    'store-packages',
    'the store imports the AWS SDK and zod, and no other package',
    { path: '^store/' },
    { dependencyTypes: PACKAGES, pathNot: '(^|/)node_modules/(@(aws-sdk|smithy)|zod)/' },
  ),
  only('workflow', 'the workflow decides, with the store and core', ['workflow', 'store', 'core']),
  forbid(
    'workflow-packages',
    'the workflow reaches AWS through the store and the interfaces that functions implement: no package, no node:*',
    { path: '^workflow/' },
    { dependencyTypes: [...PACKAGES, 'core'] },
  ),
  only('functions', 'functions import the workflow, the store and core', [
    'functions',
    'workflow',
    'store',
    'core',
  ]),
  forbid(
    'functions-apart',
    'one function never imports another; shared code is in functions/shared',
    { path: '^functions/([^/]+)/' },
    { path: '^functions/', pathNot: ['^functions/$1/', '^functions/shared/'] },
  ),
  only('agent', 'the agent imports the contract and the types of the domain', ['agent', 'core']),
  only('cli', 'the CLI imports the client, the contract and the types of the domain', ['cli', 'core']),
  forbid(
    'domain-types-only',
    'agent and CLI take types from the domain, and no rules: the control plane applies those',
    { path: '^(agent|cli)/' },
    { path: '^core/domain/', dependencyTypesNot: ['type-only'] },
  ),
  only('lib', 'the CDK app takes names from the contract and refers to handlers by path', [
    'lib',
    'core/contract',
  ]),
  only('local', 'the embedded cloud reads the synthesized assembly as data', ['local']),
  forbid(
    'lib-importers',
    'only bin, test and the generators of documents, which count the template, import lib',
    { path: OURS, pathNot: '^(bin|test|lib|scripts/documents)/' },
    { path: '^lib/' },
  ),
  forbid(
    'local-importers',
    'only bin and test import local; the conformance runs and the benchmark count as tests',
    { path: OURS, pathNot: ['^(bin|test|local)/', MEASURES] },
    { path: '^local/' },
  ),
  forbid(
    'test-importers',
    'no product code imports a test',
    { path: OURS, pathNot: ['^test/', MEASURES] },
    { path: '^test/' },
  ),
  forbid(
    'unit-test-processes',
    'a unit test starts no process and no engine; tests that do are in test/integration',
    { path: '^test/unit/' },
    { path: `^(child_process|worker_threads|${PROCESS_HELPERS})$`, dependencyTypesNot: ['type-only'] },
  ),
  forbid(
    'no-circular',
    'modules that need each other to run cannot be read, or loaded, one at a time',
    {},
    { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  ),
  forbid(
    'no-circular-types',
    'modules whose types depend on each other can be understood only together',
    { path: '^(agent|core|store)/' },
    { circular: true },
  ),
  forbid(
    'no-unresolvable',
    'the import leads nowhere',
    // Clients that `npm run test:clients` installs elsewhere.
    { path: OURS, pathNot: '^test/clients/habits/' },
    { couldNotResolve: true, pathNot: TYPES_ONLY },
  ),
];

export default {
  forbidden,
  options: {
    parser: 'swc',
    // With swc, type-only imports are seen either way; `true` only asks for a TypeScript compiler API, which 7 lacks.
    tsPreCompilationDeps: false,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(cdk\\.out|\\.bulkhead|__snapshots__|cli/dist)/' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.mts', '.js', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
