import { describe, expect, test } from '@jest/globals';
import { CONTAINER_STATES } from '../../../core/contract/container.ts';
import { HOST_STATES } from '../../../core/contract/host.ts';
import { OPERATION_STATES } from '../../../core/contract/operation.ts';
import { CONTAINER_TRANSITIONS } from '../../../core/domain/container-state.ts';
import { InvalidTransitionError } from '../../../core/domain/errors.ts';
import { HOST_TRANSITIONS } from '../../../core/domain/host-state.ts';
import { OPERATION_TRANSITIONS } from '../../../core/domain/operation-state.ts';
import { replaceContainer } from '../../../store/containers.ts';
import { writeView } from '../../../store/hosts.ts';
import { replaceOperation } from '../../../store/operations.ts';
import { containerRecord, hostRecord, operationRecord } from '../../helpers/records.ts';

/** Whether the write is refused, for each pair of states. */
const refusals = <S extends string>(states: readonly S[], write: (from: S, to: S) => unknown): string[] =>
  states.flatMap((from) =>
    states.flatMap((to) => {
      try {
        write(from, to);
        return [];
      } catch (error) {
        if (!(error instanceof InvalidTransitionError)) throw error;
        return [`${from} -> ${to}`];
      }
    }),
  );

const outside = <S extends string>(
  table: Readonly<Record<S, readonly S[]>>,
  { mayStay }: { readonly mayStay: (state: S) => boolean },
): string[] => {
  const states = Object.keys(table) as S[];
  return states.flatMap((from) =>
    states
      .filter((to) => !table[from].includes(to) && !(from === to && mayStay(from)))
      .map((to) => `${from} -> ${to}`),
  );
};

describe('a write is refused if the state table has no such transition', () => {
  test('for a container', () => {
    const write = (from: (typeof CONTAINER_STATES)[number], to: (typeof CONTAINER_STATES)[number]) =>
      replaceContainer(containerRecord(from), containerRecord(to));
    expect(refusals(CONTAINER_STATES, write).sort()).toEqual(
      outside(CONTAINER_TRANSITIONS, { mayStay: () => true }).sort(),
    );
  });

  test('for an operation, whose terminal states are final', () => {
    const write = (from: (typeof OPERATION_STATES)[number], to: (typeof OPERATION_STATES)[number]) =>
      replaceOperation(operationRecord(1, { state: from }), operationRecord(1, { state: to }));
    const ends = ['Succeeded', 'Failed', 'Cancelled'];
    expect(refusals(OPERATION_STATES, write).sort()).toEqual(
      outside(OPERATION_TRANSITIONS, { mayStay: (state) => !ends.includes(state) }).sort(),
    );
  });

  test('for a host, whose state Lost is final', () => {
    const write = (from: (typeof HOST_STATES)[number], to: (typeof HOST_STATES)[number]) => {
      const { view, ...host } = hostRecord();
      const before = { ...host, view: { ...view, state: from } };
      return writeView(before, { ...before.view, state: to }, 'ann');
    };
    expect(refusals(HOST_STATES, write).sort()).toEqual(
      outside(HOST_TRANSITIONS, { mayStay: () => true }).sort(),
    );
  });
});
