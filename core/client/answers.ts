import type * as z from 'zod/mini';
import type { Route } from '../contract/http/routes.ts';
import { type Problem, ProblemSchema } from '../contract/problem.ts';
import { AnswerError, ProblemError, ThrottledError } from './errors.ts';

/**
 * Validates responses against the contract. Unknown members are allowed, because a newer control plane may send more than
 * this client knows. Any other difference is an error.
 */
export interface RawAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly requestId: string | undefined;
}

type Issue = z.core.$ZodIssue;

const isAddition = (issue: Issue): boolean =>
  issue.code === 'unrecognized_keys' ||
  (issue.code === 'invalid_union' && issue.errors.some((branch) => branch.every(isAddition)));

/** The first violation of a schema by a value, with its path. Undefined if the value is valid. */
const violationOf = (schema: z.ZodMiniType, value: unknown): string | undefined => {
  const result = schema.safeParse(value);
  if (result.success) return undefined;
  const issue = result.error.issues.find((one) => !isAddition(one));
  return issue && `${issue.path.join('.') || 'the body'}: ${issue.message}`;
};

const parseJson = (answer: RawAnswer, what: string): unknown => {
  try {
    return JSON.parse(answer.text);
  } catch (cause) {
    throw new AnswerError(
      `${what} returned ${answer.status} with a body that is not JSON.`,
      answer.status,
      answer.requestId,
      { cause },
    );
  }
};

export const isProblem = ({ contentType }: Pick<RawAnswer, 'contentType'>): boolean =>
  contentType.includes('application/problem+json');

const problemOf = (answer: RawAnswer, what: string): Problem | undefined => {
  if (!isProblem(answer)) return undefined;
  const body = parseJson(answer, what);
  return violationOf(ProblemSchema, body) === undefined ? (body as Problem) : undefined;
};

/**
 * The validated body of a response.
 * @throws {ProblemError} if the API refused the request
 * @throws {ThrottledError} if the gateway in front of the API refused it
 * @throws {AnswerError} if the response violates the contract
 */
export const readAnswer = (route: Route, answer: RawAnswer): unknown => {
  const what = `${route.method} ${route.path}`;
  const problem = problemOf(answer, what);
  if (problem !== undefined)
    throw new ProblemError(
      problem.requestId === undefined && answer.requestId !== undefined
        ? { ...problem, requestId: answer.requestId }
        : problem,
    );
  if (answer.status === 429) throw new ThrottledError();
  const schema = route.responses[answer.status];
  if (schema === null) return undefined;
  if (schema === undefined) {
    const excerpt = answer.text.slice(0, 200);
    throw new AnswerError(`${what} returned ${answer.status}: ${excerpt}`, answer.status, answer.requestId);
  }
  const body = parseJson(answer, what);
  const violation = violationOf(schema, body);
  if (violation !== undefined)
    throw new AnswerError(
      `${what} returned a body that violates the contract (${violation}).`,
      answer.status,
      answer.requestId,
    );
  return body;
};
