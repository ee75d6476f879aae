import { readFileSync } from 'node:fs';
import { UsageError } from '../../errors.ts';

/** The JSON object in the value of an option: inline, or in a file (`@FILE`). */
export const readJsonObject = (text: string, option: string): Record<string, unknown> => {
  try {
    const json: unknown = JSON.parse(text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text);
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return json as Record<string, unknown>;
  } catch (cause) {
    throw new UsageError(`${option}: ${cause instanceof Error ? cause.message : String(cause)}`, SUGGESTION, {
      cause,
    });
  }
  throw new UsageError(`${option} must be a JSON object.`, SUGGESTION);
};

const SUGGESTION = 'Pass the JSON in single quotes, or as @FILE.';
