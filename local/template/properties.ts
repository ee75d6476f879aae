/** Helpers with which engines declare their allowed properties. */
import type { PropertyRule, PropertyRules } from '../engine.ts';

/** Has the same effect as in AWS. */
export const honoured: PropertyRule = { kind: 'honoured' };

/** Accepted without effect; `reason` states why that is correct on one machine. */
export const accepted = (reason: string): PropertyRule => ({ kind: 'accepted', reason });

/** An object with only the named properties. */
export const object = (properties: PropertyRules): PropertyRule => ({ kind: 'object', properties });

export const list = (of: PropertyRule): PropertyRule => ({ kind: 'list', of });

export const map = (of: PropertyRule): PropertyRule => ({ kind: 'map', of });

/** Supported for these values only. */
export const oneOf = (...values: readonly (string | number | boolean)[]): PropertyRule => ({
  kind: 'honoured',
  check: (value) =>
    values.some((one) => one === value || String(one) === value)
      ? undefined
      : `${JSON.stringify(value)} is not implemented (implemented: ${values.join(', ')})`,
});

/** Supported between two numbers, both included. */
export const numberBetween = (lowest: number, highest: number): PropertyRule => ({
  kind: 'honoured',
  check: (value) => {
    const number = Number(value);
    return Number.isFinite(number) && number >= lowest && number <= highest
      ? undefined
      : `${JSON.stringify(value)} is not between ${lowest} and ${highest}`;
  },
});

/** One machine has one administrator, so IAM permissions are not enforced here. Tests check them on the template. */
export const notEnforced = accepted('permissions are not enforced on one machine');
export const recordedOnly = accepted('recorded only: nothing is monitored on one machine');
export const metadataOnly = accepted('a label, without effect');
