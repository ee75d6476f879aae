/** Thrown when an event pattern is not valid; the message is worded as EventBridge words it. */
export class InvalidPatternError extends Error {
  readonly code = 'InvalidEventPatternException';
  readonly reason: string;

  constructor(reason: string) {
    super(`Event pattern is not valid. Reason: ${reason}`);
    this.name = 'InvalidPatternError';
    this.reason = reason;
  }
}
