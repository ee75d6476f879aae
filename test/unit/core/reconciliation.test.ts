import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CONTAINER_STATES, type ContainerState } from '../../../core/contract/container.ts';
import { OPERATION_KINDS } from '../../../core/contract/operation.ts';
import {
  canTransitionContainer,
  holdsCapacity,
  OPERATION_STARTS,
} from '../../../core/domain/container-state.ts';
import {
  judgeOrphans,
  ORPHAN_CONFIRMATION_MS,
  ORPHANS_PER_ROUND,
  RECONCILED_STATES,
  reconcile,
} from '../../../core/domain/reconciliation.ts';
import { type Ended, settledState } from '../../../core/domain/settlement.ts';

const state = fc.constantFrom(...CONTAINER_STATES);
/** States that a container can be in while no operation is active. */
const resting = fc.constantFrom<ContainerState>('Off', 'Running', 'Failed', 'Unknown');
const phase = fc.constantFrom('Absent' as const, 'Off' as const, 'Running' as const);
const report = fc.record({
  phase,
  epoch: fc.nat(5),
  sequence: fc.option(fc.nat(10), { nil: undefined }),
  inventory: fc.boolean(),
});

describe('reconciliation', () => {
  test('a report changes nothing while an operation is active', () => {
    fc.assert(
      fc.property(state, report, (was, said) => {
        const record = { state: was, active: true, epoch: 1, observedSequence: null };
        expect(reconcile(record, said)).toBe('agrees');
      }),
    );
  });

  test('every change by a report is a transition of the state table', () => {
    fc.assert(
      fc.property(resting, report, fc.nat(5), fc.option(fc.nat(10)), (was, said, epoch, observedSequence) => {
        const meaning = reconcile({ state: was, active: false, epoch, observedSequence }, said);
        if (meaning === 'started' || meaning === 'stopped' || meaning === 'lost')
          expect([
            was,
            RECONCILED_STATES[meaning],
            canTransitionContainer(was, RECONCILED_STATES[meaning]),
          ]).toEqual([was, RECONCILED_STATES[meaning], true]);
      }),
    );
  });

  test('a newer inventory leaves no container Unknown', () => {
    for (const said of ['Absent', 'Off', 'Running'] as const)
      expect(['started', 'stopped', 'lost']).toContain(
        reconcile(
          { state: 'Unknown', active: false, epoch: 3, observedSequence: null },
          { phase: said, epoch: 1, inventory: true },
        ),
      );
  });

  test('a report with an older sequence is stale; one with an older epoch is ambiguous outside an inventory', () => {
    const record = { state: 'Running' as const, active: false, epoch: 4, observedSequence: 7 };
    const off = { phase: 'Off' as const, epoch: 4, inventory: false };
    expect(reconcile(record, { ...off, sequence: 6 })).toBe('stale');
    expect(reconcile(record, { ...off, sequence: 8, epoch: 1 })).toBe('stopped');
    expect(reconcile(record, { ...off, epoch: 3 })).toBe('ambiguous');
    expect(reconcile(record, { ...off, epoch: 3, inventory: true })).toBe('stopped');
  });
});

describe('orphans', () => {
  test('no orphan is confirmed too early, and no more than the limit per round', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uuid(), { maxLength: 30 }),
        fc.array(fc.nat(2 * ORPHAN_CONFIRMATION_MS), { minLength: 30, maxLength: 30 }),
        (ids, ages) => {
          const now = 1_000_000_000;
          const known = Object.fromEntries(ids.map((id, at) => [id, now - (ages[at] ?? 0)]));
          const { candidates, confirmed } = judgeOrphans(known, ids, now);
          expect(confirmed.length).toBeLessThanOrEqual(ORPHANS_PER_ROUND);
          for (const id of confirmed)
            expect(now - (known[id] ?? now)).toBeGreaterThanOrEqual(ORPHAN_CONFIRMATION_MS);
          expect(Object.keys(candidates).sort()).toEqual([...ids].sort());
        },
      ),
    );
  });

  test('a new orphan is never confirmed, and a container that is no longer an orphan is not a candidate', () => {
    expect(judgeOrphans({ old: 0 }, ['new'], 1e9)).toEqual({ candidates: { new: 1e9 }, confirmed: [] });
    expect(judgeOrphans({ old: 0 }, [], 1e9)).toEqual({ candidates: {}, confirmed: [] });
  });
});

describe('settlement', () => {
  const ended = fc
    .record({
      kind: fc.constantFrom(...OPERATION_KINDS.filter((kind) => kind !== 'importImage')),
      cancelled: fc.boolean(),
      commanded: fc.boolean(),
      undone: fc.boolean(),
      keptInVm: fc.boolean(),
      observed: fc.option(phase),
      pick: fc.nat(),
      start: fc.boolean(),
    })
    .map(({ pick, start, ...rest }) => {
      if (rest.kind === 'create')
        return {
          ...rest,
          stateBefore: 'Off' as const,
          during: start ? ('Starting' as const) : ('Off' as const),
        };
      const { from, during } = OPERATION_STARTS[rest.kind];
      return { ...rest, stateBefore: from[pick % from.length] ?? ('Off' as const), during };
    });

  test('is a transition of the state table from the state during the operation', () => {
    fc.assert(
      fc.property(ended, ({ during, ...rest }) => {
        const settled = settledState(rest satisfies Ended).state;
        expect([rest.kind, during, settled, canTransitionContainer(during, settled)]).toEqual([
          rest.kind,
          during,
          settled,
          true,
        ]);
      }),
    );
  });

  test('capacity is released only if the host reported the state, received no command, or has undone the operation', () => {
    fc.assert(
      fc.property(ended, ({ during: _during, ...rest }) => {
        const { state: settled, onHost } = settledState(rest);
        const known = rest.observed !== null || rest.undone || !rest.commanded;
        if (!known) {
          expect(settled).toBe('Unknown');
          expect(onHost).toBe(true);
        }
        if (rest.observed === 'Running') expect(holdsCapacity(settled)).toBe(true);
        if (!onHost) expect(settled).toBe('Failed');
      }),
    );
  });

  test.each([
    ['create', { commanded: true, undone: true }, { state: 'Failed', onHost: false }],
    ['create', { commanded: false, undone: true }, { state: 'Failed', onHost: false }],
    ['start', { commanded: true, undone: true }, { state: 'Failed', onHost: true }],
    ['start', { commanded: true, undone: true, cancelled: true }, { state: 'Off', onHost: true }],
    ['start', { commanded: false }, { state: 'Off', onHost: true }],
    ['stop', { commanded: true, undone: true }, { state: 'Unknown', onHost: true }],
    ['stop', { commanded: true, observed: 'Running' }, { state: 'Running', onHost: true }],
    ['stop', { commanded: false }, { state: 'Running', onHost: true }],
    ['restart', { commanded: true, undone: true }, { state: 'Running', onHost: true }],
    ['remove', { commanded: true, observed: 'Absent' }, { state: 'Failed', onHost: false }],
    ['convert', { commanded: true, observed: 'Off' }, { state: 'Failed', onHost: true }],
    ['convert', { commanded: true, observed: 'Off', keptInVm: true }, { state: 'Off', onHost: true }],
    ['convert', { commanded: true, observed: 'Running', keptInVm: true }, { state: 'Running', onHost: true }],
  ] as const)('%s %j: %j', (kind, over, expected) => {
    const stateBefore = kind === 'create' || kind === 'start' ? 'Off' : 'Running';
    expect(
      settledState({
        kind,
        stateBefore,
        cancelled: false,
        undone: false,
        observed: null,
        keptInVm: false,
        ...over,
      }),
    ).toEqual(expected);
  });
});
