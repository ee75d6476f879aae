import type { Runtime } from '../runtimes/runtime.ts';
import { withVerbs } from '../runtimes/with-verbs.ts';

/** Wraps the runtime so that `onStarted` is called after each start of a main process, by a command or a restart policy. */
export const withStarts = (runtime: Runtime, onStarted: (containerId: string) => void): Runtime =>
  withVerbs(runtime, {
    startProcess: async (container, instanceId, signal) => {
      await runtime.startProcess(container, instanceId, signal);
      onStarted(container.id);
    },
  });
