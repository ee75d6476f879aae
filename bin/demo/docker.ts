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
  const there = 'docker run -it --isolation=hyperv IMAGE cmd';
  stage.say(`\nPS> ${there}`);
  const proves = 'The docker CLI, unmodified, runs a container with a kernel of its own.';
  if (!(await hasDocker())) {
    stage.say('  (there is no docker client on this machine)');
    stage.outcomes.push({ there, outcome: 'unavailable' });
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-demo-'));
  const { server, close } = createDockerBridge({
    client: stage.client,
    connect,
    now: Date.now,
    newId: () => randomBytes(32).toString('hex'),
    version: VERSION,
    log: (line) => stage.say(`  ${line}`),
  });
  const words = ['run', '--rm', '--isolation=hyperv', 'mini', 'uname', '-r'];
  try {
    const host = await listen(server, { kind: 'unix', path: join(folder, 'docker.sock') });
    stage.say(`$ bulkhead docker --host ${host} &\n$ docker -H ${host} ${words.join(' ')}`);
    const { stdout } = await run('docker', ['-H', host, ...words], { timeout: TIMEOUT_MS });
    stage.say(`  ${stdout.trim()}      (the host’s kernel: ${hostKernel})`);
    const outcome = stdout.trim() !== '' && stdout.trim() !== hostKernel ? 'shown' : 'failed';
    stage.verdict(outcome, proves);
    stage.outcomes.push({ there, outcome });
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr ?? error);
    stage.say(`  ${text.trim()}`);
    const outcome = /no sessions yet|404/.test(text) ? 'unavailable' : 'failed';
    stage.verdict(outcome, proves);
    stage.outcomes.push({ there, outcome });
  } finally {
    close();
    rmSync(folder, { recursive: true, force: true });
  }
};
