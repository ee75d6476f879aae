import jsonata from 'jsonata';
import type { JsonObject } from '../json.ts';
import { registerFunctions } from './jsonata-functions.ts';
import type { QueryScope } from './scope.ts';

const EVALUATION_TIMEOUT_MS = 5000;
const MAX_DEPTH = 100;
/** Maximum cache size, so that expressions of deleted machines do not accumulate. */
const MOST_TEXTS = 1000;

/** @throws the parser's error for bad syntax */
export const compileExpression = (text: string): jsonata.Expression => {
  return jsonata(text, { timeout: EVALUATION_TIMEOUT_MS, stack: MAX_DEPTH * 10 });
};

type World = Pick<QueryScope, 'random' | 'now'>;

/** One compiled expression, for one evaluation at a time: its functions use the context of that evaluation. */
class CompiledExpression {
  readonly #expression: jsonata.Expression;
  #world: World | undefined;

  constructor(text: string) {
    this.#expression = compileExpression(text);
    registerFunctions(this.#expression, () => {
      if (this.#world === undefined) throw new TypeError('a function was called outside its evaluation');
      return this.#world;
    });
  }

  async evaluate(variables: JsonObject, world: World): Promise<unknown> {
    // The time is constant during an evaluation.
    const moment = world.now();
    this.#world = { random: world.random, now: () => moment };
    try {
      return await this.#expression.evaluate(undefined, variables);
    } finally {
      this.#world = undefined;
    }
  }
}

/** A cache of idle compiled expressions by text, because compiling takes many times longer than evaluating. Evaluations may overlap. */
const resting = new Map<string, CompiledExpression[]>();

/** @throws the error of the parser or of the evaluation */
export const evaluateText = async (text: string, variables: JsonObject, world: World): Promise<unknown> => {
  const compiled = resting.get(text)?.pop() ?? new CompiledExpression(text);
  try {
    return await compiled.evaluate(variables, world);
  } finally {
    if (resting.size >= MOST_TEXTS && !resting.has(text)) resting.clear();
    const others = resting.get(text);
    if (others === undefined) resting.set(text, [compiled]);
    else others.push(compiled);
  }
};
