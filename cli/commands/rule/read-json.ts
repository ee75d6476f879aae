import { readFileSync } from 'node:fs';
import { UsageError } from '../../errors.ts';

/** A JSON object from an option: inline, or `@FILE`. */
export const readJsonObject = (text: string, option: string): Record<string, unknown> => {
  try {
    const json: unknown = JSON.parse(text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text);
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return json as Record<string, unknown>;
  } catch (cause) {
    throw new UsageError(`${option}: ${cause instanceof Error ? cause.message : String(cause)}`, HOW, {
      cause,
    });
  }
  throw new UsageError(`${option} must be a JSON object.`, HOW);
};

const HOW = 'Give it as it stands in single quotes, or as @FILE.';
