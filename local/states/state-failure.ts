/**
 * A state's failure as Retry and Catch see it. `error` and `cause` can be missing, because a Fail state need not set them.
 */
export class StateFailure extends Error {
  readonly error: string | undefined;
  readonly causeText: string | undefined;
  /** The field whose JSONata expression failed. Such a failure is logged as EvaluationFailed. */
  readonly location: string | undefined;
  /** A cause from the interpreter is prefixed with the state's name; one from outside is unchanged. */
  readonly prefixed: boolean;
  /** Another name by which Retry and Catch match the error. */
  readonly alias: string | undefined;

  constructor(
    error: string | undefined,
    causeText: string | undefined,
    options: { location?: string; prefixed?: boolean; alias?: string } = {},
  ) {
    super(causeText ?? error ?? 'failed');
    this.name = 'StateFailure';
    this.error = error;
    this.causeText = causeText;
    this.location = options.location;
    this.prefixed = options.prefixed ?? false;
    this.alias = options.alias;
  }

  /** States.Runtime ends the execution: neither Retry nor Catch nor a tolerant Parallel sees it. */
  get fatal(): boolean {
    return this.error === 'States.Runtime';
  }
}

export const runtimeFailure = (cause: string): StateFailure => {
  return new StateFailure('States.Runtime', cause, { prefixed: true });
};

export const queryFailure = (location: string, cause: string): StateFailure => {
  return new StateFailure('States.QueryEvaluationError', cause, { location, prefixed: true });
};
