import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ValidationError } from '../../../core/domain/errors.ts';
import { boundPattern } from '../../../functions/conversion-rules/bound-pattern.ts';
import { createEventRules } from '../../../functions/conversion-rules/event-rules.ts';
import { compilePattern } from '../../../local/events/patterns/index.ts';

type Pattern = Record<string, unknown>;

const accepted: Pattern[] = [
  { source: ['aws.guardduty'] },
  { source: [{ prefix: 'aws.' }], detail: { severity: [{ numeric: ['>', 7] }] } },
  { source: ['bulkhead'], detail: { state: ['Running'] } },
  { source: ['bulkhead'], detail: { tenant: ['acme'] } },
  { 'detail-type': ['Finding'] },
  { detail: { severity: [1, 2] } },
  { detail: { tenant: ['acme'] } },
  { $or: [{ 'detail-type': ['Finding'] }, { detail: { severity: [1] } }] },
  { $or: [{ source: ['scanner'] }, { source: ['aws.guardduty'], detail: { severity: [1] } }] },
];
const refused: [Pattern, string][] = [
  [{ source: [{ prefix: '' }] }, '/source'],
  [{ source: [{ 'anything-but': 'x' }] }, '/source'],
  [{ source: [{ wildcard: 'bulk*' }] }, '/source'],
  [{ source: [{ exists: true }] }, '/source'],
  [{ source: ['bulkhead', 'scanner'] }, '/source'],
  [{ source: ['bulkhead'], detail: { tenant: ['umbrella'] } }, '/detail/tenant'],
  [{ detail: { tenant: [{ exists: true }] } }, '/detail/tenant'],
  [{ $or: [{ source: ['bulkhead'] }, { source: ['scanner'] }] }, '/source'],
  [{ $or: [{ detail: { tenant: ['acme'] } }, { detail: { tenant: ['umbrella'] } }] }, '/detail/tenant'],
  [{ detail: { a: ['x'.repeat(2100)] } }, ''],
  [JSON.parse(`${'{"a":'.repeat(20)}[1]${'}'.repeat(20)}`), ''],
];

const event = fc.record({
  source: fc.constantFrom('bulkhead', 'scanner', 'aws.guardduty', 'bulk'),
  'detail-type': fc.constantFrom('Finding', 'Other'),
  detail: fc.record(
    {
      tenant: fc.constantFrom('acme', 'umbrella'),
      severity: fc.constantFrom(1, 8),
      state: fc.constantFrom('Running', 'Off'),
    },
    { requiredKeys: [] },
  ),
});

test.each(accepted.map((pattern) => [JSON.stringify(pattern), pattern] as const))(
  'a pattern on the bus lets through what the tenant’s own does, but for Bulkhead’s events of others: %s',
  (_, pattern) => {
    const own = compilePattern(pattern);
    const bound = compilePattern(boundPattern(pattern, 'acme'));
    fc.assert(
      fc.property(event, (given) => {
        const isOthers = given.source === 'bulkhead' && given.detail.tenant !== 'acme';
        expect(bound(given)).toBe(own(given) && !isOthers);
      }),
    );
  },
);

test.each(
  refused.map(([pattern, pointer]) => [JSON.stringify(pattern).slice(0, 80), pattern, pointer] as const),
)('a pattern that cannot be narrowed is refused: %s', (_, pattern, pointer) => {
  const attempt = () => boundPattern(pattern, 'acme');
  expect(attempt).toThrow(ValidationError);
  try {
    attempt();
  } catch (error) {
    expect((error as ValidationError).details.errors?.[0]?.pointer).toBe(`/body/eventPattern${pointer}`);
  }
});

test('a bus with as many rules as EventBridge allows is a problem that says what to do', async () => {
  const failure = Object.assign(new Error('The requested resource exceeds the maximum number allowed.'), {
    name: 'LimitExceededException',
  });
  const client = { send: async () => Promise.reject(failure) } as unknown as EventBridgeClient;
  const rules = createEventRules(client, { bus: 'b', machineArn: 'm', roleArn: 'r', deadLettersArn: 'd' });
  const rule = { tenant: 'acme', name: 'r', id: 'i', eventPattern: { source: ['a'] } };
  await expect(rules.put(rule as unknown as Parameters<typeof rules.put>[0])).rejects.toMatchObject({
    code: 'rules-exhausted',
    details: { suggestion: expect.stringContaining('Rules per event bus') },
  });
});

test('a call that EventBridge throttles is one to repeat, not a fault', async () => {
  const throttled = Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' });
  const client = { send: async () => Promise.reject(throttled) } as unknown as EventBridgeClient;
  const rules = createEventRules(client, { bus: 'b', machineArn: 'm', roleArn: 'r', deadLettersArn: 'd' });
  const rule = { tenant: 'acme', name: 'r', id: 'i', eventPattern: { source: ['a'] } };
  const busy = { code: 'too-busy' };
  await expect(rules.put(rule as unknown as Parameters<typeof rules.put>[0])).rejects.toMatchObject(busy);
  await expect(rules.remove('r')).rejects.toMatchObject(busy);
  await expect(rules.test({}, {})).rejects.toMatchObject(busy);
});
