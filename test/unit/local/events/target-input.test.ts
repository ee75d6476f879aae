import { describe, expect, test } from '@jest/globals';
import type { BusEvent } from '../../../../local/events/event.ts';
import { makeRule, readTarget } from '../../../../local/events/rule.ts';
import { targetInput } from '../../../../local/events/target-input.ts';
import type { JsonObject } from '../../../../local/template/json.ts';

const event: BusEvent = {
  version: '0',
  id: 'e1',
  'detail-type': 'Finding',
  source: 'test',
  account: '000000000000',
  time: '2026-11-23T00:00:00Z',
  region: 'us-east-1',
  resources: ['arn:a'],
  detail: { name: 'say "hi"', nested: { list: [{ id: 7 }] }, flag: true },
};
const rule = makeRule({
  ...{ name: 'r', bus: 'default', arn: 'arn:rule/r', state: undefined, scheduleExpression: undefined },
  pattern: '{"source":["test"]}',
  targets: [],
});
const inputOf = (target: JsonObject): string =>
  targetInput(
    readTarget({ Id: 't', Arn: 'arn:aws:lambda:us-east-1:000000000000:function:f', ...target }),
    event,
    rule,
    0,
  );

describe('the input of a target', () => {
  test('is the event by default', () => expect(JSON.parse(inputOf({}))).toEqual(event));
  test('can be a constant', () => expect(inputOf({ Input: '{"a":1}' })).toBe('{"a":1}'));
  test('can be a part of the event', () =>
    expect(inputOf({ InputPath: '$.detail.nested.list[0]' })).toBe('{"id":7}'));

  test('a template inserts values as JSON outside quotes and as text inside', () => {
    const input = inputOf({
      InputTransformer: {
        InputPathsMap: {
          name: '$.detail.name',
          nested: '$.detail.nested',
          none: '$.detail.none',
          id: "$['id']",
        },
        InputTemplate:
          '{"name": <name>, "text": "it is <name> of <id>", "nested": <nested>, "none": <none>, "rule": "<aws.events.rule-name>", "left": "<other>"}',
      },
    });
    expect(JSON.parse(input)).toEqual({
      name: 'say "hi"',
      text: 'it is say "hi" of e1',
      nested: { list: [{ id: 7 }] },
      none: null,
      rule: 'r',
      left: '<other>',
    });
  });

  test('a template can insert the whole event', () => {
    const whole = inputOf({ InputTransformer: { InputTemplate: '{"original": <aws.events.event.json>}' } });
    expect(JSON.parse(whole)).toEqual({ original: event });
  });

  test('an invalid path is refused when the rule is created', () => {
    expect(() => inputOf({ InputPath: '$..detail' })).toThrow(/InputPath/);
  });
});
