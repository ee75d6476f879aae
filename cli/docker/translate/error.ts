import {
  AnswerError,
  ClientError,
  ConnectionError,
  OperationFailedError,
  ProblemError,
  TurnedAwayError,
} from '../../../core/client/index.ts';
import { DockerError } from '../errors.ts';

const FAILED = 500;

const statusOf = (error: unknown): number => {
  if (error instanceof ProblemError) return error.problem.status;
  if (error instanceof OperationFailedError) return error.operation.error?.status ?? FAILED;
  if (error instanceof ConnectionError) return 503;
  if (error instanceof TurnedAwayError) return 429;
  return error instanceof AnswerError ? 502 : FAILED;
};

/** A status that docker treats as a failure, because a refused token is unrelated to docker's own login. */
const seenByDocker = (status: number): number => (status === 401 || status === 422 ? FAILED : status);

const details = (error: unknown): string => {
  const errors = error instanceof ProblemError ? (error.problem.errors ?? []) : [];
  return errors.map(({ pointer, detail }) => ` ${pointer}: ${detail}`).join('');
};

/** Any error as a Docker error, with the API's message, suggestion and request id. */
export const toDockerError = (error: unknown): DockerError => {
  if (error instanceof DockerError) return error;
  if (!(error instanceof ClientError))
    return new DockerError(
      FAILED,
      `the bridge failed: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  const suggestion = error.suggestion === undefined ? '' : ` ${error.suggestion}`;
  const requestId = error instanceof ProblemError ? error.requestId : undefined;
  const request = requestId === undefined ? '' : ` (request ${requestId})`;
  const status = seenByDocker(statusOf(error));
  return new DockerError(status, `${error.message}${details(error)}${suggestion}${request}`, {
    cause: error,
  });
};
