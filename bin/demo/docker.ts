import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { listen } from '../../cli/docker/listen.ts';
import { createDockerBridge } from '../../cli/docker/server.ts';
import type { Connect } from '../../cli/session.ts';
import { VERSION } from '../../cli/version.ts';
import type { Stage } from './stage.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;

const hasDocker = async (): Promise<boolean> => {
  try {
    await run('docker', ['--version']);
    return true;
  } catch {
    return false;
  }
};

/** Runs the real docker client through the bridge: the reported kernel is the utility VM's, not the host's. */
export const showDocker = async (stage: Stage, connect: Connect, hostKernel: string): Promise<void> => {
  const cmdlet = 'docker run -it --isolation=hyperv IMAGE cmd';
  stage.print(`\nPS> ${cmdlet}`);
  const proves = 'The unmodified docker CLI runs a container with its own kernel.';
  if (!(await hasDocker())) {
    stage.print('  (there is no docker client on this machine)');
    stage.outcomes.push({ cmdlet, outcome: 'unavailable' });
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-demo-'));
  const { server, close } = createDockerBridge({
    client: stage.client,
    connect,
    now: Date.now,
    newId: () => randomBytes(32).toString('hex'),
    version: VERSION,
    log: (line) => stage.print(`  ${line}`),
  });
  const words = ['run', '--rm', '--isolation=hyperv', 'mini', 'uname', '-r'];
  try {
    const host = await listen(server, { kind: 'unix', path: join(folder, 'docker.sock') });
    stage.print(`$ bulkhead docker --host ${host} &\n$ docker -H ${host} ${words.join(' ')}`);
    const { stdout } = await run('docker', ['-H', host, ...words], { timeout: TIMEOUT_MS });
    stage.print(`  ${stdout.trim()}      (the host’s kernel: ${hostKernel})`);
    const outcome = stdout.trim() !== '' && stdout.trim() !== hostKernel ? 'shown' : 'failed';
    stage.verdict(outcome, proves);
    stage.outcomes.push({ cmdlet, outcome });
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr ?? error);
    stage.print(`  ${text.trim()}`);
    const outcome = /no sessions yet|404/.test(text) ? 'unavailable' : 'failed';
    stage.verdict(outcome, proves);
    stage.outcomes.push({ cmdlet, outcome });
  } finally {
    close();
    rmSync(folder, { recursive: true, force: true });
  }
};
