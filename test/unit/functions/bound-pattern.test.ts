import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ValidationError } from '../../../core/domain/errors.ts';
import { boundPattern } from '../../../functions/conversion-rules/bound-pattern.ts';
import { createEventRules } from '../../../functions/conversion-rules/event-rules.ts';
import { compilePattern, InvalidPatternError } from '../../../local/events/patterns/index.ts';

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
  [{ source: { a: [{ exists: false }] } }, '/source'],
  [{ source: { '': [{ exists: false }] } }, '/source'],
  [{ 'source.a': [{ exists: false }] }, '/source.a'],
  [{ source: {} }, '/source'],
  [{ source: [] }, '/source'],
  [{ source: 'scanner' }, '/source'],
  [{ source: null, detail: { state: ['Running'] } }, '/source'],
  [{ source: { a: [{ exists: false }] }, detail: { tenant: ['acme'] } }, '/source'],
  [
    { $or: [{ source: { a: [{ exists: false }] } }, { source: { b: [{ exists: false }] } }] },
    '/$or/0/source',
  ],
  [
    { $or: [{ source: ['a'] }, { $or: [{ 'source.x': [{ exists: false }] }, { detail: { a: [1] } }] }] },
    '/$or/1/$or/0/source.x',
  ],
  [{ source: ['bulkhead'], detail: { tenant: { x: [{ exists: false }] } } }, '/detail/tenant'],
  [
    {
      detail: { tenant: { x: [{ exists: false }] }, $or: [{ tenant: ['acme'] }, { state: ['Running'] }] },
    },
    '/detail/tenant',
  ],
  [
    { detail: { $or: [{ tenant: { x: [{ exists: false }] } }, { state: ['Running'] }] } },
    '/detail/$or/0/tenant',
  ],
  [{ 'detail.tenant.x': [{ exists: false }], source: ['bulkhead'] }, '/detail.tenant.x'],
  [{ 'detail.tenant': { x: [{ exists: false }] } }, '/detail.tenant'],
  [{ detail: [{ exists: false }] }, '/detail'],
  [{ source: ['bulkhead'], detail: 'x' }, '/detail'],
  [{ $or: [{ detail: [{ exists: true }] }, { source: ['a'] }] }, '/$or/0/detail'],
  [{ $or: { source: ['scanner'] } }, '/$or'],
  [{ $or: [{ source: ['scanner'] }, 'x'] }, '/$or'],
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
  'a bound pattern matches the same events as the tenant’s pattern, except Bulkhead’s events of other tenants: %s',
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

/** Values of every JSON type for each field that the bound pattern restricts, at each level of a pattern. */
const absent = fc.constant([{ exists: false }]);
const anyForm = (matchers: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 4, arbitrary: matchers },
    absent,
    fc.dictionary(fc.constantFrom('a', 'x', ''), absent, { maxKeys: 2 }),
    fc.constantFrom('scanner', 'acme', null, 1, []),
  );
const dotted = fc.dictionary(fc.constantFrom('source.a', 'detail.tenant', 'detail.tenant.x'), absent, {
  maxKeys: 1,
});
const { fields: anyPattern } = fc.letrec<{ fields: Pattern; detail: Pattern }>((tie) => ({
  fields: fc.record(
    {
      source: anyForm(fc.constantFrom(['scanner'], ['bulkhead'], [{ prefix: 'aws.' }], ['bulkhead', 'bulk'])),
      'detail-type': fc.constantFrom(['Finding'], ['Other']),
      detail: fc.oneof({ weight: 4, arbitrary: tie('detail') }, anyForm(fc.constant({ severity: [1] }))),
      $or: anyForm(fc.array(tie('fields'), { minLength: 1, maxLength: 3 })),
    },
    { requiredKeys: [] },
  ),
  detail: fc.record(
    {
      tenant: anyForm(fc.constantFrom(['acme'], ['umbrella'])),
      state: fc.constant(['Running']),
      severity: fc.constant([1]),
      $or: anyForm(fc.array(tie('detail'), { minLength: 1, maxLength: 3 })),
    },
    { requiredKeys: [] },
  ),
}));

/** Returns the result of `make`; undefined if it refuses the pattern with an error of the given class. */
const unlessRefused = <T>(make: () => T, refusal: new (...given: never[]) => Error): T | undefined => {
  try {
    return make();
  } catch (error) {
    if (error instanceof refusal) return undefined;
    throw error;
  }
};

test('no accepted pattern matches Bulkhead’s events of other tenants', () => {
  fc.assert(
    fc.property(
      anyPattern,
      dotted,
      fc.array(event, { minLength: 12, maxLength: 12 }),
      (fields, more, events) => {
        const pattern = { ...fields, ...more };
        const narrowed = unlessRefused(() => boundPattern(pattern, 'acme'), ValidationError);
        const bound = unlessRefused(() => compilePattern(narrowed), InvalidPatternError);
        if (bound === undefined) return;
        for (const given of events)
          if (given.source === 'bulkhead' && given.detail.tenant !== 'acme') expect(bound(given)).toBe(false);
        const own = unlessRefused(() => compilePattern(pattern), InvalidPatternError);
        const visible = events.filter(
          ({ source, detail }) => source !== 'bulkhead' || detail.tenant === 'acme',
        );
        if (own !== undefined) expect(visible.map(bound)).toEqual(visible.map(own));
      },
    ),
    { numRuns: 2000 },
  );
});

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

test('a bus with the maximum number of rules results in a problem with a suggestion', async () => {
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

test('a throttled call to EventBridge is a retryable error', async () => {
  const throttled = Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' });
  const client = { send: async () => Promise.reject(throttled) } as unknown as EventBridgeClient;
  const rules = createEventRules(client, { bus: 'b', machineArn: 'm', roleArn: 'r', deadLettersArn: 'd' });
  const rule = { tenant: 'acme', name: 'r', id: 'i', eventPattern: { source: ['a'] } };
  const busy = { code: 'too-busy' };
  await expect(rules.put(rule as unknown as Parameters<typeof rules.put>[0])).rejects.toMatchObject(busy);
  await expect(rules.remove('r')).rejects.toMatchObject(busy);
  await expect(rules.test({}, {})).rejects.toMatchObject(busy);
});
