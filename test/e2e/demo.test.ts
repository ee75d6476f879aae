import { resolve } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { runProgram } from '../helpers/run-program.ts';

/**
 * `npm run demo` as a user runs it. Every row of the documented workflow succeeds on a real host, if this machine can be
 * one, and on the simulated Windows hosts with the figures of the documentation.
 */
jest.setTimeout(240_000);
const ROOT = resolve(import.meta.dirname, '../..');

test('npm run demo prints each row of the documented workflow', async () => {
  const args = ['--disable-warning=ExperimentalWarning', 'bin/demo.ts'];
  const { exitCode, stdout, stderr } = await runProgram(process.execPath, args, { cwd: ROOT, seconds: 220 });
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toContain(' 0 failed');
  for (const cmdlet of [
    'New-Container -Name HYPVCON-WIN',
    'Get-Container | Select',
    'Set-Container $con -RuntimeType HyperV   (on ServerCore',
    'Start-Container',
    'Enter-PSSession',
    'Get-ComputeProcess',
    'Get-Process vmwp',
    'Stop-Container HYPVCON; Remove-Container HYPVCON',
  ])
    expect(stdout).toContain(`PS> ${cmdlet}`);
  // Process ids in the documentation: in the Default container, on the host, in the HyperV container.
  const [, demonstration = ''] = stdout.split('as documented');
  for (const pid of [532, 608, 3484, 1228]) expect(demonstration).toMatch(new RegExp(`^ +${pid} csrss`, 'm'));
  expect(demonstration).toMatch(/ 1228 csrss\.exe +956 csrss|956 csrss/);
  expect(demonstration.replaceAll(/\s+/g, ' ')).toContain('is not: only its worker process');
});
