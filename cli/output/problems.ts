import type { Command } from 'commander';
import { AnswerError, ClientError, OperationFailedError, ProblemError } from '../../core/client/index.ts';
import { CliError } from '../errors.ts';
import { locationIn } from './locations.ts';
import { toCliSuggestion } from './suggestions.ts';
import type { TableStyle } from './table.ts';
import { escapeControls, wrap } from './text.ts';

const requestIdOf = (error: unknown): string | undefined => {
  if (error instanceof ProblemError || error instanceof AnswerError) return error.requestId;
  return undefined;
};

/** A missing resource can be looked up with the command `list` of its group. */
const lookUp = (command: Command | undefined): string | undefined => {
  const group = command?.parent;
  return group?.commands.some((one) => one.name() === 'list')
    ? `List the existing ones with \`bulkhead ${group.name()} list\`.`
    : undefined;
};

const suggestionOf = (error: unknown, command: Command | undefined): string | undefined => {
  if (error instanceof CliError) return error.suggestion;
  if (!(error instanceof ClientError)) return undefined;
  if (error.suggestion !== undefined) return toCliSuggestion(error.suggestion);
  return error.code === 'not-found' ? lookUp(command) : undefined;
};

const operationOf = (error: unknown): string | undefined =>
  error instanceof OperationFailedError ? error.operation.id : undefined;

const problemOf = (error: unknown) => (error instanceof ProblemError ? error.problem : undefined);

const INDENT = 7;

/** Wraps a text to the terminal, and indents its further lines. */
const folded = (text: string, width: number | undefined): string =>
  width === undefined ? text : wrap(text, width - INDENT).join(`\n${' '.repeat(INDENT)}`);

/** How to show an error: `command` is the command that failed, if one was reached. */
export interface ErrorStyle extends TableStyle {
  readonly command?: Command | undefined;
  readonly isDebug?: boolean;
}

/** The error as text on stderr: message, location in the command line, suggestion and request id. */
export const renderError = (
  error: unknown,
  { paint, width, command, isDebug = false }: ErrorStyle,
): string => {
  const message = error instanceof Error ? error.message : String(error);
  const lines = [`${paint('red', 'Error:')} ${folded(escapeControls(message), width)}`];
  for (const { pointer, detail } of problemOf(error)?.errors ?? [])
    lines.push(`  ${escapeControls(locationIn(command, pointer))}: ${escapeControls(detail)}`);
  const suggestion = suggestionOf(error, command);
  if (suggestion !== undefined)
    lines.push(`${paint('cyan', 'Try:')}   ${folded(escapeControls(suggestion), width)}`);
  const operation = operationOf(error);
  if (operation !== undefined) lines.push(paint('dim', `operation ${operation}`));
  const requestId = requestIdOf(error);
  const code = (error as { readonly code?: unknown }).code;
  const facts = [
    ...(typeof code === 'string' && error instanceof ClientError ? [code] : []),
    ...(requestId === undefined ? [] : [`request ${escapeControls(requestId)}`]),
  ];
  if (facts.length > 0) lines.push(paint('dim', `(${facts.join(', ')})`));
  if (isDebug && error instanceof Error && error.stack !== undefined) lines.push(error.stack);
  return `${lines.join('\n')}\n`;
};

/** The error as one line of JSON on stderr. */
export const errorAsJson = (error: unknown, command?: Command): string => {
  const problem =
    problemOf(error) ?? (error instanceof OperationFailedError ? error.operation.error : undefined);
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { readonly code?: unknown }).code;
  const own = {
    code: typeof code === 'string' ? code : 'failed',
    detail: message,
    ...(requestIdOf(error) === undefined ? {} : { requestId: requestIdOf(error) }),
  };
  const suggestion = suggestionOf(error, command);
  const operationId = operationOf(error);
  return `${JSON.stringify({ error: { ...(problem ?? own), ...(suggestion === undefined ? {} : { suggestion }), ...(operationId === undefined ? {} : { operationId }) } })}\n`;
};
