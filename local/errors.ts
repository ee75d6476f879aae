/** Errors of the embedded cloud. Each has a stable `code`; none is thrown bare. */
export abstract class LocalCloudError extends Error {
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

/** A part of a template that the embedded cloud does not support, and its location. */
export interface Problem {
  readonly logicalId: string;
  /** CDK path. */
  readonly path: string;
  readonly type: string;
  /** Dotted, such as `Properties.StreamSpecification.ResourcePolicy`; empty for the whole resource. */
  readonly property: string;
  readonly message: string;
}

const line = (problem: Problem): string => {
  const where = problem.property === '' ? '' : ` ${problem.property}`;
  return `${problem.path} (${problem.logicalId}, ${problem.type})${where}: ${problem.message}`;
};

/** Everything in the template that is not implemented. */
export class TemplateRefusedError extends LocalCloudError {
  readonly code = 'template-refused';
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(
      [`the embedded cloud does not implement ${problems.length} part(s) of this template:`]
        .concat(problems.map((problem) => `  - ${line(problem)}`))
        .join('\n'),
    );
    this.problems = problems;
  }
}

/** Thrown by `ResourceEngine.create`: invalid values of one resource. */
export class TemplateProblem extends LocalCloudError {
  readonly code = 'template-problem';
  readonly found: readonly { property: string; message: string }[];
  constructor(found: readonly { property: string; message: string }[]) {
    super(found.map((one) => `${one.property}: ${one.message}`).join('; '));
    this.found = found;
  }
}

/** The assembly directory or its manifest is unusable. */
export class AssemblyError extends LocalCloudError {
  readonly code = 'assembly-unusable';
}

/** An engine could not start. The message has a solution. */
export class EngineStartError extends LocalCloudError {
  readonly code = 'engine-start-failed';
}

export class FunctionNotFoundError extends LocalCloudError {
  readonly code = 'ResourceNotFoundException';
  constructor(functionName: string) {
    super(`Function not found: ${functionName}`);
  }
}

/** The function has reached its reserved concurrency. */
export class ThrottledError extends LocalCloudError {
  readonly code = 'TooManyRequestsException';
  constructor(functionName: string) {
    super(`Rate Exceeded. The reserved concurrency of ${functionName} is in use.`);
  }
}

/** An error that an AWS API returns to its caller, with the API's code and HTTP status. */
export class ServiceError extends LocalCloudError {
  readonly code: string;
  readonly status: number;
  /** @param code such as `ValidationException`. */
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}
