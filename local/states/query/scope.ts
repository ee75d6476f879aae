import type { Json, JsonObject } from '../json.ts';
import type { Randomness } from './randomness.ts';

/** The values that expressions of a state can use. */
export interface QueryScope {
  input: Json;
  context: JsonObject;
  /** A variable of this scope or an outer one. */
  variable(name: string): Json | undefined;
  variables(): JsonObject;
  random: Randomness;
  /** Epoch milliseconds, for `$now` and `$millis`. */
  now(): number;
  /** Data as quoted in messages: AWS keeps the original text of an execution's input. */
  quote(data: Json): string;
  /** Only if the state has one: after its work, or in a catcher. */
  result?: Json;
  errorOutput?: Json;
}
