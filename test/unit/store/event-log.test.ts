import { expect, test } from '@jest/globals';
import { EventSchema } from '../../../core/contract/event.ts';
import { parseEvent } from '../../../store/events.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';

test('an event of a session is read with its null values, as in the contract', () => {
  const event = {
    id: 'e',
    time: '2026-01-01T00:00:00.000Z',
    type: 'Session Opened',
    resource: { kind: 'session', id: '0120f597-80d7-4e6f-ab39-d96cbd491ad0' },
    revision: 1,
    previousState: null,
    state: 'Open',
    operationId: null,
    session: {
      kind: 'session',
      containerId: '0120f597-80d7-4e6f-ab39-d96cbd491ad0',
      command: null,
      user: null,
      tty: false,
      seconds: null,
      exitCode: null,
      reason: null,
    },
    actor: 'developer',
  };
  expect(EventSchema.parse(parseEvent(createItem('event', keys.event('acme', 'e'), { event })))).toEqual(
    event,
  );
});
