import { isObject, type Json } from './json.ts';
import type { Leaf } from './match-expressions.ts';

/** The element of each array of objects that a leaf is in. */
export type ArrayMembership = ReadonlyMap<string, number>;

export interface EventLeaf {
  value: Leaf;
  membership: ArrayMembership;
}

export type FlatEvent = Map<string, EventLeaf[]>;

/** The paths and their parents: `a.b` gives `a` and `a.b`. */
export const withAncestors = (paths: Iterable<string>): ReadonlySet<string> => {
  const all = new Set<string>();
  for (const path of paths) {
    for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1))
      all.add(path.slice(0, dot));
    all.add(path);
  }
  return all;
};

/**
 * The leaves of an event under their paths (key names joined by dots; arrays add nothing to a path). Empty
 * arrays and objects have no leaves, so a path to one does not exist.
 *
 * @param wanted only these paths are included, because events are large and a pattern uses few of their members
 */
export const flattenEvent = (event: Json, wanted: ReadonlySet<string>): FlatEvent => {
  const leaves: FlatEvent = new Map();
  const visit = (value: Json, path: string, membership: ArrayMembership, arrayId: string): void => {
    if (Array.isArray(value)) {
      value.forEach((element, index) => {
        const inside = isObject(element) || Array.isArray(element);
        const next = inside ? new Map([...membership, [arrayId, index]]) : membership;
        visit(element, path, next, `${arrayId}[${index}]`);
      });
    } else if (isObject(value)) {
      for (const [key, child] of Object.entries(value)) {
        const next = path === '' ? key : `${path}.${key}`;
        if (wanted.has(next)) visit(child, next, membership, `${arrayId}.${key}`);
      }
    } else {
      const found = leaves.get(path);
      if (found) found.push({ value, membership });
      else leaves.set(path, [{ value, membership }]);
    }
  };
  visit(event, '', new Map(), '');
  return leaves;
};
