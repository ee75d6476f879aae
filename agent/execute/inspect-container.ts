import type { Runtime, RuntimeContainer } from '../runtimes/runtime.ts';

/** What is there of the container, to plan from. */
export const inspectContainer = async (
  runtime: Pick<Runtime, 'inspect'>,
  id: string,
): Promise<RuntimeContainer | null> => (await runtime.inspect(id))[0] ?? null;
