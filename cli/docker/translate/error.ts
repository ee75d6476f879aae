import {
  AnswerError,
  ClientError,
  ConnectionError,
  OperationFailedError,
  ProblemError,
  ThrottledError,
} from '../../../core/client/index.ts';
import { toCliSuggestion } from '../../output/suggestions.ts';
import { DockerError } from '../errors.ts';

const FAILED = 500;

const statusOf = (error: unknown): number => {
  if (error instanceof ProblemError) return error.problem.status;
  if (error instanceof OperationFailedError) return error.operation.error?.status ?? FAILED;
  if (error instanceof ConnectionError) return 503;
  if (error instanceof ThrottledError) return 429;
  return error instanceof AnswerError ? 502 : FAILED;
};

/** Avoids statuses that have another meaning for docker: with 401 it would report a failed `docker login`. */
const dockerStatus = (status: number): number => (status === 401 || status === 422 ? FAILED : status);

const details = (error: unknown): string => {
  const errors = error instanceof ProblemError ? (error.problem.errors ?? []) : [];
  return errors.map(({ pointer, detail }) => ` ${pointer}: ${detail}`).join('');
};

/** Converts any error to a Docker error with the message, the suggestion in terms of the CLI, and the request id. */
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
  const suggestion = error.suggestion === undefined ? '' : ` ${toCliSuggestion(error.suggestion)}`;
  const requestId = error instanceof ProblemError ? error.requestId : undefined;
  const request = requestId === undefined ? '' : ` (request ${requestId})`;
  const status = dockerStatus(statusOf(error));
  return new DockerError(status, `${error.message}${details(error)}${suggestion}${request}`, {
    cause: error,
  });
};
