export const REFUSALS = [
  'not-linux-x64',
  'not-root',
  'no-apt',
  'packages-failed',
  'kernel-failed',
  'compile-failed',
  'image-failed',
] as const;

/** Why this machine cannot run the Linux runtime, for the user who starts Bulkhead. */
export class SetUpRefusedError extends Error {
  readonly reason: (typeof REFUSALS)[number];
  readonly suggestion: string;
  constructor(reason: (typeof REFUSALS)[number], message: string, suggestion: string) {
    super(message);
    this.name = 'SetUpRefusedError';
    this.reason = reason;
    this.suggestion = suggestion;
  }
}
