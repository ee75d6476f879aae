import { isObject, type Json, type JsonObject } from '../json.ts';
import type { Checker } from './checker.ts';

interface Assignment {
  name: string;
  path: string;
}

const assignmentsOf = (assign: Json | undefined, path: string): Assignment[] => {
  if (!isObject(assign)) return [];
  return Object.keys(assign).map((key) => ({
    name: key.endsWith('.$') ? key.slice(0, -2) : key,
    path: `${path}/Assign/${key}`,
  }));
};

/** A state's assignments: its own, and those of its Choice rules and catchers. */
const assignments = (state: JsonObject, path: string): Assignment[] => {
  const nested = ['Choices', 'Catch'].flatMap((field) => {
    const entries = state[field];
    if (!Array.isArray(entries)) return [];
    return entries.flatMap((entry, i) =>
      isObject(entry) ? assignmentsOf(entry.Assign, `${path}/${field}[${i}]`) : [],
    );
  });
  return [...assignmentsOf(state.Assign, path), ...nested];
};

/**
 * An inner scope can read the variables of outer scopes but cannot assign them.
 * @returns the variables that scopes inside this one can see
 */
export const checkVariables = (checker: Checker, states: JsonObject, path: string): Set<string> => {
  const visible = new Set(checker.outerVariables);
  for (const [name, state] of Object.entries(states)) {
    if (!isObject(state)) continue;
    for (const assignment of assignments(state, `${path}/States/${name}`)) {
      visible.add(assignment.name);
      if (!checker.outerVariables.has(assignment.name)) continue;
      const message = `Variable '${assignment.name}' is assigned in an outer scope`;
      checker.refuse(assignment.path, 'Assign', message);
    }
  }
  return visible;
};
