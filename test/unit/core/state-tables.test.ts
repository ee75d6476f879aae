import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CONTAINER_STATES } from '../../../core/contract/container.ts';
import type { OPERATION_STATES } from '../../../core/contract/operation.ts';
import {
  CONTAINER_TRANSITIONS,
  canTransitionContainer,
  holdsCapacity,
  OPERATION_STARTS,
} from '../../../core/domain/container-state.ts';
import { connectedHostState, HOST_TRANSITIONS } from '../../../core/domain/host-state.ts';
import {
  isEnded,
  OPEN_OPERATION_STATES,
  OPERATION_TRANSITIONS,
} from '../../../core/domain/operation-state.ts';

describe('container states', () => {
  test('every operation begins with a transition of the state table', () => {
    for (const { from, during } of Object.values(OPERATION_STARTS))
      for (const state of from)
        expect([state, during, canTransitionContainer(state, during)]).toEqual([state, during, true]);
  });

  test('the state during an operation can change back to the state before it', () => {
    for (const { from, during } of Object.values(OPERATION_STARTS))
      for (const state of from)
        expect(canTransitionContainer(during, state) || canTransitionContainer(during, 'Unknown')).toBe(true);
  });

  test('every state can be reached from Off and can reach Off', () => {
    const reachable = (start: (typeof CONTAINER_STATES)[number]) => {
      const seen = new Set([start]);
      for (const state of seen) for (const next of CONTAINER_TRANSITIONS[state]) seen.add(next);
      return seen;
    };
    expect([...reachable('Off')].sort()).toEqual([...CONTAINER_STATES].sort());
    for (const state of CONTAINER_STATES) expect(reachable(state).has('Off')).toBe(true);
  });

  test('a container that is being removed cannot start', () => {
    expect(CONTAINER_TRANSITIONS.Removing).not.toContain('Starting');
  });

  test('a state in which the container may run holds capacity', () => {
    expect(CONTAINER_STATES.filter((state) => !holdsCapacity(state))).toEqual(['Off', 'Failed']);
  });
});

describe('operation states', () => {
  test('every sequence of transitions ends in exactly one terminal state', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 10 }), (choices) => {
        let state: (typeof OPERATION_STATES)[number] = 'Pending';
        let ends = 0;
        for (const choice of choices) {
          const next: readonly (typeof OPERATION_STATES)[number][] = OPERATION_TRANSITIONS[state];
          const chosen = next[choice % Math.max(1, next.length)];
          if (chosen === undefined) break;
          state = chosen;
          if (isEnded(state)) ends += 1;
        }
        expect(ends).toBeLessThanOrEqual(1);
      }),
    );
    expect(OPEN_OPERATION_STATES).toEqual(['Pending', 'Running', 'Cancelling']);
  });
});

describe('host states', () => {
  test('a lost host stays lost; any other can reconnect', () => {
    expect(HOST_TRANSITIONS.Lost).toEqual([]);
    expect(HOST_TRANSITIONS.Unknown).toEqual(
      expect.arrayContaining([connectedHostState(true), connectedHostState(false)]),
    );
  });
});
