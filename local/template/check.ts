/** Finds unsupported parts of a template before anything is created. */
import type { PropertyRule, PropertyRules } from '../engine.ts';
import { getAttOperands, implementedIntrinsics, intrinsicName, subReferences } from './intrinsics.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

export interface Finding {
  /** Dotted path. */
  readonly property: string;
  readonly message: string;
}

const at = (parent: string, key: string | number): string =>
  parent === '' ? String(key) : `${parent}.${key}`;

/** Unresolved intrinsics are skipped here and checked once they are resolved. */
const checkRule = (value: Json, rule: PropertyRule, where: string): Finding[] => {
  const intrinsic = intrinsicName(value);
  if (intrinsic === 'Fn::If' && isJsonObject(value) && Array.isArray(value[intrinsic])) {
    return value[intrinsic].slice(1).flatMap((branch) => checkRule(branch, rule, where));
  }
  if (intrinsic !== undefined || rule.kind === 'accepted') return [];
  switch (rule.kind) {
    case 'honoured': {
      const message = rule.check?.(value);
      return message === undefined ? [] : [{ property: where, message }];
    }
    case 'list':
      return Array.isArray(value)
        ? value.flatMap((item, index) => checkRule(item, rule.of, at(where, index)))
        : [{ property: where, message: 'must be a list' }];
    case 'map':
      return isJsonObject(value)
        ? Object.entries(value).flatMap(([key, item]) => checkRule(item, rule.of, at(where, key)))
        : [{ property: where, message: 'must be an object' }];
    case 'object':
      return isJsonObject(value)
        ? checkProperties(value, rule.properties, where)
        : [{ property: where, message: 'must be an object' }];
  }
};

/** @returns one finding for each property that is not allowed, and each value that is refused. */
export const checkProperties = (properties: JsonObject, rules: PropertyRules, where = ''): Finding[] => {
  return Object.entries(properties).flatMap(([name, value]) => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    return rule === undefined
      ? [{ property: at(where, name), message: 'is not implemented' }]
      : checkRule(value, rule, at(where, name));
  });
};

/** The properties without the ignored ones, because values of ignored properties may refer to resources that do not exist here. */
export const withoutAccepted = (properties: JsonObject, rules: PropertyRules): JsonObject => {
  const kept: JsonObject = {};
  for (const [name, value] of Object.entries(properties)) {
    const rule = rules[name];
    if (rule?.kind === 'accepted') continue;
    const nested = rule?.kind === 'object' && isJsonObject(value) && intrinsicName(value) === undefined;
    kept[name] = nested ? withoutAccepted(value, rule.properties) : value;
  }
  return kept;
};

/** @returns one finding for each intrinsic function in the value that is not implemented. */
export const unknownIntrinsics = (value: Json, where: string): Finding[] => {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => unknownIntrinsics(item, at(where, index)));
  }
  if (!isJsonObject(value)) return [];
  const name = intrinsicName(value);
  if (name !== undefined && !implementedIntrinsics.includes(name)) {
    return [{ property: where, message: `intrinsic function ${name} is not implemented` }];
  }
  const inner = name === undefined ? (key: string) => at(where, key) : () => where;
  return Object.entries(value).flatMap(([key, child]) => unknownIntrinsics(child, inner(key)));
};

/** Names (logical ids, parameters, pseudo-parameters) that the value refers to. */
export const references = (value: Json): string[] => {
  if (Array.isArray(value)) return value.flatMap(references);
  if (!isJsonObject(value)) return [];
  const name = intrinsicName(value);
  if (name === 'Ref') return [String(value.Ref)];
  if (name === 'Fn::GetAtt') return getAttOperands(value[name]).slice(0, 1);
  const own =
    name === 'Fn::Sub' ? subReferences(value[name]).map((reference) => reference.split('.')[0] ?? '') : [];
  return own.concat(Object.values(value).flatMap(references));
};
