import { systemClock } from '../../agent/clock.ts';
import type { Runtime } from '../../agent/runtimes/runtime.ts';
import type { ExecRequest } from '../../agent/runtimes/session-process.ts';
import { collectOutput } from '../../agent/sessions/collect-output.ts';

/** Runs a command in addition to the main process and waits for its end. @returns its exit code and output */
export const runIn = async (runtime: Runtime, containerId: string, request: ExecRequest) => {
  const process = await runtime.startExec(containerId, request);
  const { signal } = new AbortController();
  const outcome = await collectOutput(process, systemClock, {
    keptBytes: 1024 * 1024,
    timeoutMs: 60_000,
    signal,
  });
  const text = (base64: string) => Buffer.from(base64, 'base64').toString();
  return { ...outcome, stdout: text(outcome.stdout), stderr: text(outcome.stderr) };
};
