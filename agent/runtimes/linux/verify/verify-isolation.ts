import { readFileSync, readlinkSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { IsolationVerification } from '../../../../core/contract/isolation-verification.ts';
import type { RuntimeType } from '../../../../core/contract/primitives.ts';
import { RuntimeError } from '../../../errors.ts';
import { collectOutput } from '../../../sessions/collect-output.ts';
import { judgeIsolation } from '../../isolation-probes.ts';
import type { SessionProcess } from '../../session-process.ts';
import type { LinuxDeps } from '../deps.ts';
import { openHostTargets } from './host-targets.ts';
import { type HostSide, interpretReport } from './interpret-report.ts';
import { parseReport } from './parse-report.ts';
import type { Surroundings } from './surroundings.ts';

/** The request waits for 25 seconds. Under emulation on a loaded host the probes take longer than 15. */
const TIMEOUT_MS = 20_000;
const KEPT_BYTES = 32 * 1024;
const SECRET_BYTES = 16;
/** Source addresses that a container must not be able to use: private, public and loopback. */
const FORGED_SOURCES = ['10.99.99.99', '192.0.2.99', '127.0.0.1'];
/** Metadata services of AWS and others, of Azure, and of AWS containers. */
const METADATA = ['169.254.169.254:80', '168.63.129.16:80', '169.254.170.2:80'];
const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'];

/** A container to verify. */
export interface VerifiedContainer extends Surroundings {
  readonly runtimeType: RuntimeType;
  /** Part of the command line of a process that runs on this host while the container runs. */
  readonly hostProcess: string;
  readonly limits: HostSide['limits'];
  /** Starts the probe in the container. */
  readonly start: (args: readonly string[]) => Promise<SessionProcess>;
}

const bytesOf = async (folder: string): Promise<number> => {
  const { blocks, bsize } = await statfs(folder);
  return blocks * bsize;
};

const several = (name: string, values: readonly string[]): string[] =>
  values.map((value) => `${name}=${value}`);

/** Runs the probes inside a running container, and evaluates their report. */
export const verifyIsolation = async (
  { clock, layout, newId, randomBytes }: LinuxDeps,
  container: VerifiedContainer,
  signal: AbortSignal,
): Promise<IsolationVerification> => {
  const secret = randomBytes(SECRET_BYTES).toString('hex');
  const targets = await openHostTargets(layout.run, newId(), secret);
  try {
    const services = container.hasNetwork ? targets.services : [];
    const process = await container.start([
      `secret=${secret}`,
      `host-file=${targets.file}`,
      `host-process=${container.hostProcess}`,
      ...several('metadata', container.hasNetwork ? METADATA : []),
      ...several('host', services),
      ...several('neighbour', container.neighbours),
      ...several('forged-source', container.hasNetwork ? FORGED_SOURCES : []),
    ]);
    const outcome = await collectOutput(process, clock, {
      keptBytes: KEPT_BYTES,
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    const report = parseReport(Buffer.from(outcome.stdout, 'base64').toString('latin1'));
    if (report === null)
      throw new RuntimeError(
        'step-failed',
        outcome.timedOut
          ? `The probes did not finish in the container within ${TIMEOUT_MS / 1000} seconds`
          : `The probes did not finish in the container (exit code ${outcome.exitCode})`,
        {
          suggestion: outcome.timedOut
            ? 'Verify again when the host is less busy.'
            : 'Verify again. Processes of the container can kill the probes or exhaust the container’s limits.',
        },
      );
    const host: HostSide = {
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      namespaces: NAMESPACES.map((kind) => readlinkSync(`/proc/self/ns/${kind}`)),
      diskBytes: await bytesOf(layout.state),
      forgedArrivals: targets.arrivals(),
      limits: container.limits,
    };
    return judgeIsolation(container.runtimeType, interpretReport(report, host), clock.now());
  } finally {
    await targets.close();
  }
};
