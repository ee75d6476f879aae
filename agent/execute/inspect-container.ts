import type { Runtime, RuntimeContainer } from '../runtimes/runtime.ts';

/** The actual state of the container, as input for a plan. */
export const inspectContainer = async (
  runtime: Pick<Runtime, 'inspect'>,
  id: string,
): Promise<RuntimeContainer | null> => (await runtime.inspect(id))[0] ?? null;
