import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { runCommand } from '../../../agent/runtimes/linux/run-command.ts';
import { artifactsFolder } from '../../../scripts/setup/linux-runtime.ts';
import { canHostLinux, until } from '../../helpers/linux-host.ts';

jest.setTimeout(60_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const HELPER = join(artifactsFolder(new URL('../../..', import.meta.url).pathname), 'helper');
const CHECKER = 3_000_003;
const MIB = 1024 * 1024;

/** Processes of that user on this machine. */
const processesOf = (uid: number): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/status`, 'utf8').includes(`Uid:\t${uid}\t`);
    } catch {
      return false;
    }
  });

real('a program that replaces e2fsck', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-check-'));
  const disk = join(folder, 'scratch.ext4');
  const check = (...program: string[]) => ['check-disk', `uid=${CHECKER}`, `file=${disk}`, '--', ...program];
  const perl = (script: string) => runCommand(HELPER, check('perl', '-e', script));
  beforeAll(() => {
    // The agent does the same.
    process.umask(0o077);
    closeSync(openSync(disk, 'w', 0o600));
    truncateSync(disk, 16 * MIB);
    execFileSync('mkfs.ext4', ['-q', disk]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('reads the disk and returns its exit code', async () => {
    const { code, stdout, stderr } = await runCommand(HELPER, check('e2fsck', '-f', '-n', '--', '/disk'));
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^e2fsck [^\n]*\n$/)]);
    expect(stdout).toContain('/disk: 11/');
    expect((await perl('exit 7')).code).toBe(7);
    expect((await perl('kill 9, $$')).code).toBe(137);
  });

  test('leaves no process with the disk open', async () => {
    const { code, stdout } = await perl(`
      open(my $disk, "+<", "/disk") or die;
      pipe(my $ready, my $told);
      my $child = fork // die;
      if (!$child) { setpgrp; $SIG{HUP} = "IGNORE"; close(STDOUT); close(STDERR); syswrite($told, "1"); sleep 600 }
      sysread($ready, my $byte, 1);
      print "forked";`);
    expect([code, stdout]).toEqual([0, 'forked']);
    expect(processesOf(CHECKER)).toEqual([]);
  });

  test('ends when the process that waits for it is killed', async () => {
    const helper = spawn(HELPER, check('perl', '-e', '$| = 1; fork; print "runs"; sleep 600'), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(helper.stdout, 'data');
    expect(processesOf(CHECKER).length).toBeGreaterThan(0);
    helper.kill('SIGKILL');
    await until(() => processesOf(CHECKER).length === 0);
  });

  test('cannot exceed the limit on processes', async () => {
    const { stdout } = await perl(
      'for (1..200) { my $p = fork; last if !defined $p; sleep 600 if !$p; $n++ } print $n',
    );
    expect(Number(stdout)).toBe(63);
    expect(processesOf(CHECKER)).toEqual([]);
  });

  test('can read only /usr and the disk, and write only the disk', async () => {
    const { stdout } = await perl(`
      print join(" ", glob("/*")), "\\n";
      for ("/usr/x", "/x", "/etc/mtab", "/dev/x") { print "wrote $_" if open(my $f, ">", $_) }
      print "proc" if -e "/proc/self";`);
    expect(stdout).toBe('/dev /disk /etc /lib /lib64 /usr\n');
    expect(statSync(disk).size).toBe(16 * MIB);
  });
});
if (!possible) test.todo('cannot run on this machine');
