/**
 * A program that evaluates, or only parses, JSONata expressions that a tenant wrote. It runs in a separate process
 * (run-expressions.ts), because an expression can exhaust the memory of the process that evaluates it.
 *
 * stdin:  lines of {"check": true, "expressions": [text, …]} or {"expressions": [text, …], "event": …}
 * stdout: one line for each input line, with a result for each expression. Check: null, or the error. Evaluation:
 *         {"text"}, {"none": true} for a value that is not a short text, or {"fault": {"code", "position"}}. A result
 *         never contains an error message, because `$error`, `$assert` and JSONata's own errors quote the event.
 */
import { createInterface } from 'node:readline';
import jsonata from '../../../node_modules/jsonata/jsonata.js';

/**
 * `$eval` would evaluate text from the event as an expression. The other functions would make a repeated step select
 * different containers. The operator `|…|…|` (transform) is refused too, because it changes objects in place. That
 * includes JSONata's own functions and environments, on which the limits and all later expressions depend.
 */
const WITHHELD = ['eval', 'random', 'shuffle'];
/** The time limit is in CPU time, so that a busy machine does not change the result. */
const MOST = {
  nodes: 50_000,
  depth: 200,
  items: 10_000,
  textLength: 65_536,
  processorMs: 1_000,
  answer: 1_024,
};

const CODE = /^[A-Z]\d{4}$/;
const TOO_MUCH = 'D1012';
/** JSONata's code for an operator that it does not know. */
const NOT_AVAILABLE = 'S0204';

const isWithheld = ({ type, value }) =>
  type === 'transform' || (type === 'variable' && WITHHELD.includes(value));

/**
 * The first part of the expression that rules must not use; null if there is none. Visits every node, including those
 * in properties of arrays.
 */
const withheldIn = (ast) => {
  const nodes = new Set([ast]);
  for (const node of nodes) {
    if (isWithheld(node)) return node.type === 'transform' ? 'The operator |…|…|' : `$${node.value}`;
    for (const value of Object.values(node)) if (Object(value) === value) nodes.add(value);
  }
  return null;
};

const check = (text) => {
  try {
    const name = withheldIn(jsonata(text).ast());
    return name === null ? null : `${name} is not available in a rule`;
  } catch (error) {
    return String(error?.message ?? 'it cannot be parsed').slice(0, MOST.answer);
  }
};

const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** jsonata calls these around each node that it evaluates. */
const guards = () => {
  const until = processorMs() + MOST.processorMs;
  let depth = 0;
  let nodes = 0;
  const stop = (exceeded) => {
    if (exceeded) throw { code: TOO_MUCH };
  };
  const entry = () => {
    depth += 1;
    nodes += 1;
    stop(depth > MOST.depth || nodes > MOST.nodes || processorMs() > until);
  };
  const exit = (_expression, _input, _environment, result) => {
    depth -= 1;
    stop(typeof result === 'string' && result.length > MOST.textLength);
  };
  return { entry, exit };
};

const evaluate = async (text, event) => {
  try {
    const expression = jsonata(text, { sequence: MOST.items });
    if (withheldIn(expression.ast()) !== null) throw { code: NOT_AVAILABLE };
    for (const name of WITHHELD) expression.assign(name, undefined);
    const { entry, exit } = guards();
    expression.assign(Symbol.for('jsonata.__evaluate_entry'), entry);
    expression.assign(Symbol.for('jsonata.__evaluate_exit'), exit);
    const value = await expression.evaluate(event);
    return typeof value === 'string' && value.length <= MOST.answer ? { text: value } : { none: true };
  } catch (error) {
    const { code, position } = Object(error);
    return {
      fault: {
        code: CODE.test(code) ? code : null,
        position: Number.isSafeInteger(position) ? position : null,
      },
    };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const { check: only, expressions, event } = JSON.parse(line);
  const answers = [];
  for (const text of expressions) answers.push(only ? check(text) : await evaluate(text, event));
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
