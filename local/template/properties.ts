/** Small vocabulary in which engines state the properties that they allow. */
import type { PropertyRule, PropertyRules } from '../engine.ts';

/** Has its effect here as in AWS. */
export const honoured: PropertyRule = { kind: 'honoured' };

/** Allowed without effect; `reason` says why that is right on one machine. */
export const accepted = (reason: string): PropertyRule => ({ kind: 'accepted', reason });

/** Only the named properties may stand in it. */
export const object = (properties: PropertyRules): PropertyRule => ({ kind: 'object', properties });

export const list = (of: PropertyRule): PropertyRule => ({ kind: 'list', of });

export const map = (of: PropertyRule): PropertyRule => ({ kind: 'map', of });

/** Honoured for these values alone. */
export const oneOf = (...values: readonly (string | number | boolean)[]): PropertyRule => ({
  kind: 'honoured',
  check: (value) =>
    values.some((one) => one === value || String(one) === value)
      ? undefined
      : `${JSON.stringify(value)} is not implemented (implemented: ${values.join(', ')})`,
});

/** Honoured when it lies between two numbers, both included. */
export const numberBetween = (lowest: number, highest: number): PropertyRule => ({
  kind: 'honoured',
  check: (value) => {
    const number = Number(value);
    return Number.isFinite(number) && number >= lowest && number <= highest
      ? undefined
      : `${JSON.stringify(value)} is not between ${lowest} and ${highest}`;
  },
});

/** One machine has one administrator: who may call what is not enforced, and is asserted on the template instead. */
export const notEnforced = accepted('permissions are not enforced on one machine');
export const recordedOnly = accepted('recorded only: nothing is monitored on one machine');
export const metadataOnly = accepted('a label, without effect');
