/** Replaces the warning about old versions of Node: the stack sets the runtime of its functions. */
export const state = { warningEmitted: true };
export const emitWarningIfUnsupportedVersion = (): void => undefined;
