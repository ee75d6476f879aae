/**
 * Replaces the store of the trace of each of several concurrent invocations: these functions have one invocation at a
 * time, and the SDK takes its trace from the environment.
 */
export const InvokeStore = { getInstanceAsync: async (): Promise<undefined> => undefined };
