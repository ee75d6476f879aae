import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { openRuntime } from '../../../agent/open-runtime.ts';
import { parseOptions } from '../../../agent/options.ts';
import { chooseHosts } from '../../../bin/local/choose-hosts.ts';
import { Hosts, type LocalHost } from '../../../bin/local/hosts.ts';
import { parseLocalOptions } from '../../../bin/local/options.ts';
import {
  type Machine,
  type SetUpOptions,
  SetUpRefusedError,
  setUpLinuxRuntime,
} from '../../../scripts/setup/linux-runtime.ts';

const scratch = mkdtempSync(join(tmpdir(), 'bulkhead-hosts-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const LINUX: Machine = { platform: 'linux', architecture: 'x64', isRoot: true };
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The hosts for a command line, and the printed messages. */
const choose = async (
  argv: readonly string[],
  setUp: (options: SetUpOptions) => Promise<{ folder: string }> = async () => ({ folder: '/artifacts' }),
) => {
  const options = parseLocalOptions(argv);
  if (options === undefined) throw new TypeError('no options');
  const said: string[] = [];
  const hosts = await chooseHosts(options, { report: () => {}, say: (line) => said.push(line), setUp });
  return { hosts, said };
};
const refuseAs = (machine: Machine) => (options: SetUpOptions) => setUpLinuxRuntime({ ...options, machine });
const optionOf = ({ agentOptions }: LocalHost, name: string) => agentOptions[agentOptions.indexOf(name) + 1];
const runtimes = (hosts: readonly LocalHost[]) => hosts.map((host) => optionOf(host, '--runtime'));

describe('the hosts of npm start', () => {
  test('are this machine if possible, with a simulated host as its fallback', async () => {
    const { hosts, said } = await choose(['--warm-vms', '3', '--image-folder', '/a', '--image-folder', '/b']);
    expect(runtimes(hosts)).toEqual(['linux']);
    const [own] = hosts;
    expect(own?.agentOptions).toEqual([
      ...['--runtime', 'linux', '--artifacts', '/artifacts', '--warm-vms', '3'],
      ...['--image-folder', '/a', '--image-folder', '/b'],
    ]);
    expect(own?.fallback?.agentOptions).toEqual(['--runtime', 'simulated', '--simulate', 'linux']);
    expect(said).toEqual([]);
  });

  test('all get the private ranges that policies can open', async () => {
    const { hosts } = await choose([
      '--allow-private',
      '10.1.2.3/16',
      '--allow-private',
      'fd12::/32',
      '--simulate',
      '1',
    ]);
    for (const { agentOptions } of hosts)
      expect(agentOptions.join(' ')).toContain('--allow-private 10.1.0.0/16 --allow-private fd12::/32');
    expect(() => parseLocalOptions(['--allow-private', '8.8.8.8'])).toThrow(/Use a range within/);
  });

  test('are ephemeral with --ephemeral', async () => {
    const { hosts } = await choose(['--ephemeral']);
    expect(hosts[0]?.agentOptions).toContain('--ephemeral');
  });

  test.each<[string, Machine, RegExp]>([
    ['a user other than root', { ...LINUX, isRoot: false }, /needs root.*sudo/],
    ['another system', { ...LINUX, platform: 'darwin', architecture: 'arm64' }, /darwin on arm64/],
    ['another processor', { ...LINUX, architecture: 'arm64' }, /linux on arm64/],
  ])('%s is reported, and a simulated Linux host is the fallback', async (_, machine, reason) => {
    const { hosts, said } = await choose([], refuseAs(machine));
    expect(runtimes(hosts)).toEqual(['simulated']);
    expect(said).toEqual([expect.stringMatching(reason)]);
    expect(said[0]).toContain('A simulated Linux host is used instead.');
  });

  test('missing packages are reported with the command that installs them', async () => {
    const refusal = new SetUpRefusedError(
      'packages-failed',
      'Installing runc failed.',
      'Run: sudo apt-get install -y runc',
    );
    const { hosts, said } = await choose(['--simulate', '2'], () => Promise.reject(refusal));
    expect(hosts.map(({ name }) => name)).toEqual(['simulated-nano-server', 'simulated-server-core']);
    expect(said[0]).toContain('sudo apt-get install -y runc');
    // Other hosts exist, so no fallback is needed.
    expect(said[0]).not.toContain('is used instead');
  });

  test('an unexpected error is not handled as a refusal', async () => {
    await expect(choose([], () => Promise.reject(new TypeError('oops')))).rejects.toThrow('oops');
  });

  test('--host simulated and --host none do not run the set-up', async () => {
    const never = () => Promise.reject(new TypeError('looked'));
    expect(runtimes((await choose(['--host', 'simulated'], never)).hosts)).toEqual(['simulated']);
    expect((await choose(['--host', 'none'], never)).hosts).toEqual([]);
    expect(runtimes((await choose(['--host', 'none', '--simulate', '3'], never)).hosts)).toEqual(
      Array(3).fill('simulated'),
    );
  });
});

describe('an agent', () => {
  const linux = (artifacts: string) =>
    parseOptions([
      ...['--api-url', 'http://127.0.0.1:1', '--state-dir', join(scratch, 'state')],
      ...['--runtime', 'linux', ...(artifacts ? ['--artifacts', artifacts] : [])],
    ]);

  test.each([
    ['without artifacts', '', 2, /--artifacts/],
    ['with a folder that has none', scratch, 5, /is not set up/],
  ])('%s reports why it cannot run containers', async (_, artifacts, exitCode, message) => {
    const options = linux(artifacts);
    if (options === null) throw new TypeError('no options');
    await expect(openRuntime(options, silent)).rejects.toMatchObject({
      exitCode,
      message: expect.stringMatching(message),
    });
  });
});

describe('a host that cannot use its runtime', () => {
  /** A substitute for the agent that prints a message and exits with a code. */
  const run = async (exitCode: number, fallback: LocalHost | null) => {
    const stateDir = mkdtempSync(join(scratch, 'state-'));
    const agent = join(stateDir, 'agent.mjs');
    writeFileSync(
      agent,
      `
      import { appendFileSync } from 'node:fs';
      const name = process.argv[process.argv.indexOf('--name') + 1];
      appendFileSync(${JSON.stringify(join(stateDir, 'started'))}, name + '\\n');
      if (name === 'own') { console.error(JSON.stringify({ message: 'No net admin here.' })); process.exit(${exitCode}); }
      setInterval(() => {}, 1000);`,
    );
    chmodSync(agent, 0o644);
    const said: string[] = [];
    const started = () => {
      try {
        return readFileSync(join(stateDir, 'started'), 'utf8').trim().split('\n');
      } catch {
        return [];
      }
    };
    const hosts = new Hosts({
      apiUrl: 'http://127.0.0.1:1',
      stateDir,
      program: agent,
      enrollmentToken: async () => 'token',
      say: (line) => said.push(line),
    });
    hosts.start({ name: 'own', agentOptions: [], fallback });
    while (said.length === 0 || (fallback !== null && started().length < 2))
      await new Promise((resolve) => setTimeout(resolve, 10));
    await hosts.stop();
    return { said, started: started() };
  };
  const fallback: LocalHost = { name: 'simulated-linux', agentOptions: [] };

  test('is replaced by its fallback once, with its last message', async () => {
    const { said, started } = await run(5, fallback);
    expect(said).toEqual(['own cannot run containers: No net admin here. A simulated host is used instead.']);
    expect(started).toEqual(['own', 'simulated-linux']);
  });

  test('is reported if it has no fallback', async () => {
    const { said, started } = await run(5, null);
    expect(said).toEqual(['own cannot run containers: No net admin here.']);
    expect(started).toEqual(['own']);
  });

  test.each([2, 3, 4])('an agent that exits with %i is not restarted', async (exitCode) => {
    const { said, started } = await run(exitCode, null);
    expect(said).toEqual(['The agent of own cannot run: No net admin here.']);
    expect(started).toEqual(['own']);
  });
});
