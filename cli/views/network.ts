import type { Container } from '../../core/contract/container.ts';
import { formatRule } from '../network-rule.ts';
import type { Field } from '../output/fields.ts';

/** A network policy with one line per part; empty parts are omitted. */
export const networkFields = ({ egress, peers }: Container['network']): readonly Field[] => [
  ['Egress', egress.default === 'allow' ? 'allow (public addresses)' : 'deny'],
  ['Allow', egress.allow.length === 0 ? null : egress.allow.map(formatRule).join(' ')],
  ['Deny', egress.deny.length === 0 ? null : egress.deny.map(formatRule).join(' ')],
  ['Peers', peers === 'switch' ? 'switch (containers of the tenant)' : 'none'],
];
