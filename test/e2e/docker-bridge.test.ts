import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { canHostLinux } from '../helpers/linux-host.ts';
import { type LocalCloud, startLocalCloud, waitForHosts } from '../helpers/local-cloud.ts';
import { runProgram, startProgram, Terminal } from '../helpers/run-program.ts';

/**
 * The installed, unmodified docker client with `bulkhead docker` and a real host. On a machine without docker, or one that
 * cannot be a host, the tests are reported as todo.
 */
jest.setTimeout(120_000);
const ROOT = resolve(import.meta.dirname, '../..');

const hasDocker = await runProgram('docker', ['--version']).then(
  ({ exitCode }) => exitCode === 0,
  () => false,
);
if (!hasDocker) process.stderr.write('The docker client is not tested: there is none on this machine.\n');

let cloud: LocalCloud;
let bridge: Awaited<ReturnType<typeof startProgram>>;
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-docker-'));
const env = { DOCKER_HOST: `unix://${folder}/docker.sock`, DOCKER_CONFIG: join(folder, 'config') };

const docker = (...args: string[]) => runProgram('docker', args, { env });
const dockerWith = (stdin: string | Buffer, ...args: string[]) => runProgram('docker', args, { env, stdin });
const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const setUp = async (): Promise<void> => {
  cloud = await startLocalCloud({ arguments: ['--host', 'auto', '--warm-vms', '1'] });
  await waitForHosts(cloud, 1);
  const args = [
    '--disable-warning=ExperimentalWarning',
    join(ROOT, 'bin/bulkhead.ts'),
    'docker',
    '--host',
    env.DOCKER_HOST,
  ];
  bridge = await startProgram(process.execPath, args, {
    BULKHEAD_API_URL: cloud.apiUrl,
    BULKHEAD_TOKEN: cloud.token,
  });
};
const tearDown = async (): Promise<void> => {
  await bridge?.stop();
  await cloud?.stop();
  rmSync(folder, { recursive: true, force: true });
};

const suite = (): void => {
  beforeAll(setUp, 180_000);
  afterAll(tearDown, 60_000);

  test('version and info report Bulkhead', async () => {
    expect(bridge.line).toBe(`export DOCKER_HOST=${env.DOCKER_HOST}`);
    expect((await docker('version', '--format', '{{.Server.Platform.Name}}')).stdout.trim()).toBe('Bulkhead');
    expect((await docker('info', '--format', '{{.OSType}} {{.Driver}}')).stdout.trim()).toBe(
      'linux bulkhead',
    );
    expect((await docker('images', '--format', '{{.Repository}}')).stdout).toContain('mini');
  });

  test('run --isolation=hyperv has its own kernel, process and default share the host’s, and --rm removes the container', async () => {
    const kernel = async (isolation: string): Promise<string> => {
      const { exitCode, stdout, stderr } = await docker(
        'run',
        '--rm',
        `--isolation=${isolation}`,
        'mini',
        'uname',
        '-r',
      );
      expect([exitCode, stderr]).toEqual([0, '']);
      return stdout.trim();
    };
    expect(await kernel('hyperv')).toMatch(/^\d+\.\d+/);
    expect(await kernel('hyperv')).not.toBe(release());
    expect([await kernel('process'), await kernel('default')]).toEqual([release(), release()]);
    expect((await docker('ps', '--all', '--quiet')).stdout).toBe('');
  });

  test('run separates the streams, passes input and the exit code, and exits with 127 for a missing program', async () => {
    const said = await docker('run', '--rm', 'mini', 'sh', '-c', 'echo out; echo err >&2; exit 5');
    expect(said).toMatchObject({ exitCode: 5, stdout: 'out\n', stderr: 'err\n' });
    const megabytes = randomBytes(3 * 1024 * 1024);
    const { bytes } = await dockerWith(megabytes, 'run', '--interactive', '--rm', 'mini', 'cat');
    expect([bytes.length, sha(bytes)]).toEqual([megabytes.length, sha(megabytes)]);
    const missing = await docker('run', '--rm', 'mini', 'nosuch');
    expect([missing.exitCode, missing.stdout]).toEqual([127, '']);
    expect(missing.stderr).toContain('nosuch');
    expect((await docker('ps', '--all', '--quiet')).stdout).toBe('');
  });

  test('run shows a prompt without a line end before it reads the input', async () => {
    const terminal = new Terminal(
      '(sleep 2; echo ann) | docker run -i --rm mini sh -c \'printf "name? "; read n; echo hello $n\' | cat',
      env,
    );
    await terminal.see(/name\? $/, 60);
    await terminal.see(/hello ann/);
    expect(await terminal.ended).toBe(0);
  });

  test('run delivers all output, and a slow reader blocks the program', async () => {
    const lines = 400_000;
    for (const isolation of ['process', 'hyperv']) {
      const said = await docker(
        'run',
        '--rm',
        `--isolation=${isolation}`,
        'mini',
        'sh',
        '-c',
        `seq 1 ${lines}; exit 4`,
      );
      expect(said.exitCode).toBe(4);
      const wanted = Array.from({ length: lines }, (_, index) => `${index + 1}\n`).join('');
      expect([said.stdout.length, sha(Buffer.from(said.stdout))]).toEqual([
        wanted.length,
        sha(Buffer.from(wanted)),
      ]);
    }
  });

  test('run -it on a terminal handles input, size, resize, ^C and exit code', async () => {
    const flag = join(folder, 'resize');
    const resizing = `(while [ ! -e ${flag} ]; do sleep 0.1; done; stty -F $TERMINAL cols 120 rows 40) &`;
    const terminal = new Terminal(
      `${resizing} exec docker run -it --rm --name typed --isolation=hyperv mini sh`,
      env,
    );
    try {
      await terminal.see(/\/ #/, 60);
      terminal.type('stty size\n');
      await terminal.see(/\n30 100/);
      writeFileSync(flag, '');
      // Polls until the new size of the window has arrived.
      terminal.type('while [ "$(stty size)" != "40 120" ]; do sleep 0.1; done; echo re"sized"\n');
      await terminal.see(/\nresized/);
      terminal.type('sleep 1000\n');
      // Until the program runs, ^C would reach the shell.
      while (!(await docker('top', 'typed')).stdout.includes('sleep 1000')) await sleep(100);
      terminal.type('\u0003');
      // The shell can discard the terminal's echo of ^C when it takes the terminal back.
      terminal.type('echo af"ter"; exit 7\n');
      await terminal.see(/\nafter/);
      expect(await terminal.ended).toBe(7);
    } finally {
      terminal.kill();
      await docker('rm', '--force', 'typed');
    }
  });

  describe('a running container', () => {
    const NAME = 'stays';
    const PROGRAM =
      'trap "echo stopping; exit 0" TERM; i=0; while true; do echo line $i; i=$((i+1)); sleep 0.2; done';
    beforeAll(async () => {
      const options = [
        '--name',
        NAME,
        '--env',
        'A=b',
        '--label',
        'app=web',
        '--memory',
        '200m',
        '--cpus',
        '0.5',
      ];
      const ran = await docker(
        'run',
        '--detach',
        '--isolation=hyperv',
        ...options,
        'mini',
        'sh',
        '-c',
        PROGRAM,
      );
      expect([ran.exitCode, ran.stdout.trim()]).toEqual([0, expect.stringMatching(/^[0-9a-f]{32}$/)]);
    });
    afterAll(() => docker('rm', '--force', NAME));

    test('inspect, ps with filters and top show it', async () => {
      const format = '{{.HostConfig.Isolation}} {{.State.Status}} {{.HostConfig.Memory}} {{.Config.Env}}';
      expect((await docker('inspect', '--format', format, NAME)).stdout.trim()).toBe(
        'hyperv running 209715200 [A=b]',
      );
      const shown = async (...filter: string[]): Promise<string> =>
        (await docker('ps', '--all', '--format', '{{.Names}}', ...filter)).stdout.trim();
      expect(await shown('--filter', 'isolation=hyperv', '--filter', 'label=app=web')).toBe(NAME);
      expect(await shown('--filter', 'isolation=process')).toBe('');
      expect(await shown('--filter', 'name=^/stays$', '--filter', 'status=running')).toBe(NAME);
      expect((await docker('top', NAME)).stdout).toMatch(/UID\s+PID.*\nroot\s+1\s/);
    });

    test('exec returns output and exit code, with input and on a terminal', async () => {
      expect(await docker('exec', NAME, 'sh', '-c', 'echo x; exit 3')).toMatchObject({
        exitCode: 3,
        stdout: 'x\n',
      });
      expect(await dockerWith('in', 'exec', '--interactive', NAME, 'cat')).toMatchObject({
        exitCode: 0,
        stdout: 'in',
      });
      const terminal = new Terminal(`exec docker exec -it -e WHO=me ${NAME} sh`, env);
      try {
        await terminal.see(/\/ #/);
        terminal.type('echo hello $WHO; exit 4\n');
        await terminal.see(/\nhello me/);
        expect(await terminal.ended).toBe(4);
      } finally {
        terminal.kill();
      }
    });

    test('errors have Docker’s messages: name in use, removing a running container, unsupported options', async () => {
      const refused = async (...args: string[]): Promise<string> => {
        const { exitCode, stderr } = await docker(...args);
        expect(exitCode).not.toBe(0);
        return stderr;
      };
      expect(await refused('create', '--name', NAME, 'mini')).toContain(
        `The container name "/${NAME}" is already in use`,
      );
      expect(await refused('rm', NAME)).toContain('stop the container before removing or force remove');
      expect(await refused('rename', NAME, 'other')).toContain('docker rename is not supported by Bulkhead');
      expect(await refused('run', '--volume', '/a:/b', 'mini')).toContain(
        '--volume is not supported by Bulkhead',
      );
      expect(await refused('run', 'nosuchimage')).toContain('Bulkhead does not pull images');
      expect(await refused('create', '--isolation=x', 'mini')).toContain('invalid isolation (x)');
      expect(await refused('stop', 'missing')).toContain('No such container: missing');
    });

    test('logs -f and attach deliver all output until stop; wait, start and events work', async () => {
      const terminal = new Terminal(`exec docker logs --follow --tail 2 ${NAME}`, env);
      const attached = docker('attach', '--no-stdin', NAME);
      await terminal.see(/line \d+/);
      const waiting = docker('wait', NAME);
      expect((await docker('stop', '--timeout', '5', NAME)).exitCode).toBe(0);
      await terminal.see(/stopping/);
      expect(await terminal.ended).toBe(0);
      expect((await attached).stdout).toContain('stopping');
      expect((await waiting).stdout.trim()).toBe('0');
      expect((await docker('logs', '--tail', '1', NAME)).stdout).toBe('stopping\n');
      expect((await docker('start', NAME)).exitCode).toBe(0);
      expect((await docker('kill', NAME)).exitCode).toBe(0);
      expect((await docker('kill', NAME)).stderr).toContain('is not running');
      const told = await docker(
        'events',
        '--since',
        '10m',
        '--until',
        String(Math.ceil(Date.now() / 1000)),
        '--filter',
        `container=${NAME}`,
        '--format',
        '{{.Action}}',
      );
      expect(told.stdout.trim().split('\n')).toEqual(['create', 'start', 'die', 'start', 'die']);
      await docker('start', NAME);
    });
  });

  test('start -a shows only the new run; kill with a signal, restart and rm -f work', async () => {
    await docker('run', '--name', 'once', 'mini', 'sh', '-c', 'echo ran');
    expect(await docker('start', '--attach', 'once')).toMatchObject({ exitCode: 0, stdout: 'ran\n' });
    expect((await docker('logs', 'once')).stdout).toBe('ran\nran\n');
    const program = 'trap "echo got; exit 9" USR1; echo ready; while true; do sleep 0.1; done';
    await docker('run', '--detach', '--name', 'signalled', 'mini', 'sh', '-c', program);
    expect((await docker('restart', '--timeout', '0', 'signalled')).exitCode).toBe(0);
    // The kernel drops a signal to the first process of a container if the process has no handler for it.
    while ((await docker('logs', 'signalled')).stdout.split('ready').length < 3) await sleep(100);
    await docker('kill', '--signal', 'USR1', 'signalled');
    expect((await docker('wait', 'signalled')).stdout.trim()).toBe('9');
    expect((await docker('rm', '--force', 'once', 'signalled')).exitCode).toBe(0);
  });
};

if (hasDocker && (await canHostLinux())) describe('the docker client', suite);
else describe('the docker client', () => test.todo('cannot run on this machine'));
