import { join } from 'node:path';
import { LogFile } from '../log-file.ts';
import type { StageDefinition } from './definition.ts';

/** `$context` variables without that prefix, such as `identity.sourceIp`. */
export type AccessLogValues = Readonly<Record<string, string | number | undefined>>;

export interface AccessLog {
  write(values: AccessLogValues): void;
  close(): void;
}

/**
 * One line of an access log: each `$context.x` of the format replaced; `-` where a variable has no value.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
 */
export const formatAccess = (format: string, values: AccessLogValues): string =>
  format.replace(/\$context\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_-]+)*)/g, (_, name: string) =>
    String(values[name] ?? '-'),
  );

const nameOf = (destinationArn: string): string =>
  (/:log-group:([^:]+)/.exec(destinationArn)?.[1] ?? 'access').replaceAll(/[^\w.-]+/g, '_');

/** The access log of a stage, in `<stateDir>/logs/<log group>.log`; writes nothing if the stage has none. */
export const openAccessLog = (stage: StageDefinition, stateDir: string): AccessLog => {
  const { accessLog } = stage;
  if (accessLog === undefined) return { write: () => undefined, close: () => undefined };
  const file = new LogFile(join(stateDir, 'logs', `${nameOf(accessLog.destinationArn)}.log`));
  return {
    write: (values) => file.append(`${formatAccess(accessLog.format, values)}\n`),
    close: () => file.close(),
  };
};
