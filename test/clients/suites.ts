import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../helpers/run-program.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const FOLDER = join(ROOT, '.bulkhead', 'clients');
const INSTALL_SECONDS = 300;
const SUITE_SECONDS = 3_600;

export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
  /** Why it did not pass. */
  readonly error?: string | undefined;
}

export interface Suite {
  readonly name: string;
  /** Installs the client if it is missing. @returns why it cannot be had, or undefined */
  readonly prepare: () => Promise<string | undefined>;
  /** @param host the address of the bridge */
  readonly run: (host: string) => Promise<TestResult[]>;
}

/** @returns the end of its output if it failed */
const attempt = async (
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<string | undefined> => {
  try {
    const { exitCode, stdout, stderr } = await runProgram(program, args, { cwd, seconds: INSTALL_SECONDS });
    return exitCode === 0 ? undefined : `${program}: ${(stderr || stdout).trim().slice(-300)}`;
  } catch (error) {
    return `${program}: ${String(error)}`;
  }
};

/** The newest source package of docker-py with its tests, and versions of its dependencies that it still works with. */
const DOCKER_PY = '6.1.3';
const PIP = [`docker==${DOCKER_PY}`, 'requests<2.32', 'urllib3<2', 'pytest<8', 'pytest-timeout', 'paramiko'];
/** The parts about containers and images. Swarm, volumes and networks are refused as a whole. */
const FILES = [
  'api_client',
  'api_container',
  'api_exec',
  'api_image',
  'client',
  'models_containers',
  'models_images',
];

const preparePython = async (): Promise<string | undefined> => {
  const folder = join(FOLDER, 'docker-py');
  if (existsSync(join(folder, 'ready'))) return undefined;
  mkdirSync(folder, { recursive: true });
  const steps: readonly (readonly [string, ...string[]])[] = [
    ['python3', '-m', 'venv', 'venv'],
    ['venv/bin/pip', 'install', '--quiet', ...PIP],
    ['venv/bin/pip', 'download', '--quiet', '--no-deps', '--no-binary', ':all:', `docker==${DOCKER_PY}`],
    ['tar', '-xf', `docker-${DOCKER_PY}.tar.gz`],
    ['touch', 'ready'],
  ];
  for (const [program, ...args] of steps) {
    const found = program.includes('/') ? join(folder, program) : program;
    const failure = await attempt(found, args, folder);
    if (failure !== undefined) return failure;
  }
  return undefined;
};

/** The results in pytest's report in the format of JUnit. */
const readReport = (file: string): TestResult[] =>
  [
    ...readFileSync(file, 'utf8').matchAll(
      /<testcase classname="([^"]*)" name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
    ),
  ]
    .filter(([, , , content = '']) => !content.includes('<skipped'))
    .map(([, group = '', test = '', content = '']) => ({
      name: `${group.replace('tests.integration.', '')}.${test}`,
      passed: !/<(failure|error)/.test(content),
      error: /message="([^"]*)"/.exec(content)?.[1]?.slice(0, 300),
    }));

const runPython = async (host: string): Promise<TestResult[]> => {
  const folder = join(FOLDER, 'docker-py');
  const report = join(folder, 'report.xml');
  const files = FILES.map((name) => `tests/integration/${name}_test.py`);
  await runProgram(
    join(folder, 'venv/bin/python'),
    ['-m', 'pytest', '--quiet', '--timeout=60', '-p', 'no:cacheprovider', `--junitxml=${report}`, ...files],
    { cwd: join(folder, `docker-${DOCKER_PY}`), env: { DOCKER_HOST: host }, seconds: SUITE_SECONDS },
  );
  return readReport(report);
};

const PACKAGES = ['testcontainers@12.2.0', 'dockerode@5.0.1'];

const prepareNpm = async (): Promise<string | undefined> => {
  const folder = join(FOLDER, 'npm');
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, 'test/clients/habits'), folder, { recursive: true });
  const args = [
    'install',
    '--silent',
    '--no-audit',
    '--no-fund',
    '--no-save',
    '--prefix',
    folder,
    ...PACKAGES,
  ];
  return existsSync(join(folder, 'node_modules')) ? undefined : attempt('npm', args, folder);
};

const runHabits =
  (script: string) =>
  async (host: string): Promise<TestResult[]> => {
    const env = {
      DOCKER_HOST: host,
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1',
    };
    const cwd = join(FOLDER, 'npm');
    const { stdout, stderr } = await runProgram(process.execPath, [script], {
      cwd,
      env,
      seconds: SUITE_SECONDS,
    });
    const results = stdout.split('\n').filter((line) => line.startsWith('{'));
    if (results.length === 0) throw new Error(`${script} had no results: ${stderr}`);
    return results.map((line) => JSON.parse(line) as TestResult);
  };

export const SUITES: readonly Suite[] = [
  { name: 'docker-py', prepare: preparePython, run: runPython },
  { name: 'testcontainers', prepare: prepareNpm, run: runHabits('testcontainers.mjs') },
  { name: 'dockerode', prepare: prepareNpm, run: runHabits('dockerode.mjs') },
];
