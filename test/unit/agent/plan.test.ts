import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Assignment, plan, TARGETS } from '../../../agent/plan/plan.ts';
import type { Step } from '../../../agent/plan/steps.ts';
import type { RuntimeContainer } from '../../../agent/runtimes/runtime.ts';
import { container } from '../../helpers/assigned-container.ts';

const ID = '0b1f6f0e-3f0c-4a53-9d5f-2a7f3f1c9a11';

const run = (running: boolean): RuntimeContainer['process'] => ({
  instanceId: 'earlier',
  running,
  startedAt: new Date(0),
  endedAt: running ? null : new Date(1),
  exitCode: running ? null : 0,
  exitReason: null,
});

const NOTHING: RuntimeContainer = {
  id: ID,
  runtimeType: 'Default',
  writableLayer: false,
  utilityVm: 'Absent',
  networkEndpoint: false,
  disksAttached: false,
  layersMounted: false,
  untrustedDisk: false,
  process: null,
  workerProcess: null,
};

/** A model of the documented runtime: the effect and the precondition of each step. */
const apply = (at: RuntimeContainer, step: Step): RuntimeContainer => {
  const need = (condition: boolean, what: string) =>
    expect({ step: step.kind, what, condition }).toMatchObject({ condition: true });
  const inVm = at.runtimeType === 'HyperV';
  switch (step.kind) {
    case 'createWritableLayer':
      return { ...at, writableLayer: true, runtimeType: step.container.runtimeType };
    case 'setRuntimeType':
      need(
        !at.process?.running && at.utilityVm === 'Absent' && !at.layersMounted && !at.disksAttached,
        'down',
      );
      return { ...at, runtimeType: step.container.runtimeType };
    case 'createUtilityVm':
      need(at.writableLayer && inVm, 'a HyperV container');
      return { ...at, utilityVm: 'Created' };
    case 'connectGuest':
      need(at.utilityVm !== 'Absent', 'a VM');
      return { ...at, utilityVm: 'Connected' };
    case 'createNetworkEndpoint':
      return { ...at, networkEndpoint: true };
    case 'attachDisks':
      need(at.utilityVm === 'Connected' && !at.disksAttached, 'a VM that answers, without the disks');
      return { ...at, disksAttached: true };
    case 'mountLayers':
      need(at.writableLayer && !at.layersMounted && (at.disksAttached || !inVm), 'disks in a VM');
      return { ...at, layersMounted: true };
    case 'startProcess':
      need(at.layersMounted && !at.process?.running, 'layers, and no process');
      need(!inVm || at.utilityVm === 'Connected', 'a VM in which nothing has run');
      return { ...at, process: { ...run(true), instanceId: step.instanceId } as RuntimeContainer['process'] };
    case 'stopProcess':
      return { ...at, process: run(false), utilityVm: at.utilityVm === 'Absent' ? 'Absent' : 'Spent' };
    case 'unmountLayers':
      need(!at.process?.running, 'no process');
      return { ...at, layersMounted: false };
    case 'detachDisks':
      need(!at.layersMounted, 'no layers mounted');
      return { ...at, disksAttached: false };
    case 'removeNetworkEndpoint':
      return { ...at, networkEndpoint: false };
    case 'destroyUtilityVm':
      need(!at.disksAttached && !at.process?.running, 'no disks, no process');
      return { ...at, utilityVm: 'Absent' };
    case 'removeWritableLayer':
      need(at.utilityVm === 'Absent' && !at.layersMounted && !at.process?.running, 'nothing that uses it');
      return { ...at, writableLayer: false };
  }
};

const reached = ({ target, container: wanted }: Assignment, at: RuntimeContainer): boolean => {
  const down =
    !at.process?.running &&
    !at.layersMounted &&
    !at.disksAttached &&
    !at.networkEndpoint &&
    at.utilityVm === 'Absent';
  if (target === 'Absent') return down && !at.writableLayer;
  if (wanted === null) return target === 'Off' ? down : true;
  const rightType = at.writableLayer && at.runtimeType === wanted.runtimeType;
  if (target === 'Off') return down && rightType;
  const vm = wanted.runtimeType === 'HyperV' ? at.utilityVm === 'Connected' : true;
  if (target === 'Provisioned') return rightType && (at.process?.running || vm);
  return rightType && at.process?.running === true;
};

const observedArbitrary = fc
  .record({
    runtimeType: fc.constantFrom('Default' as const, 'HyperV' as const),
    utilityVm: fc.constantFrom('Absent' as const, 'Created' as const, 'Connected' as const, 'Spent' as const),
    networkEndpoint: fc.boolean(),
    disksAttached: fc.boolean(),
    layersMounted: fc.boolean(),
    process: fc.constantFrom(null, run(true), run(false)),
  })
  .map((flags): RuntimeContainer => ({ ...NOTHING, ...flags, writableLayer: true }));
const maybeObserved = fc.oneof(fc.constant(null), observedArbitrary);

const assignmentArbitrary = fc
  .record({
    target: fc.constantFrom(...TARGETS),
    runtimeType: fc.constantFrom('Default' as const, 'HyperV' as const),
    switchName: fc.constantFrom('NAT', 'none', 'None'),
    known: fc.boolean(),
  })
  .map(
    ({ target, runtimeType, switchName, known }): Assignment => ({
      containerId: ID,
      container: known ? container({ id: ID, runtimeType, switchName }) : null,
      target,
      stopTimeoutSeconds: 10,
      instanceId: 'new',
    }),
  );

describe('the planner', () => {
  test('an executed plan reaches its target, and the precondition of each step holds', () => {
    fc.assert(
      fc.property(assignmentArbitrary, maybeObserved, (assignment, observed) => {
        const end = plan(assignment, observed).reduce(apply, observed ?? NOTHING);
        expect(reached(assignment, end)).toBe(true);
      }),
    );
  });

  test('the plan for a reached state is empty', () => {
    fc.assert(
      fc.property(assignmentArbitrary, maybeObserved, (assignment, observed) => {
        const end = plan(assignment, observed).reduce(apply, observed ?? NOTHING);
        expect(plan(assignment, end)).toEqual([]);
      }),
    );
  });

  test('a new plan after any part of a plan also reaches the target', () => {
    fc.assert(
      fc.property(assignmentArbitrary, maybeObserved, fc.nat(12), (assignment, observed, count) => {
        const broken = plan(assignment, observed)
          .slice(0, count)
          .reduce(apply, observed ?? NOTHING);
        const seen = broken.writableLayer ? broken : null;
        const end = plan(assignment, seen).reduce(apply, broken);
        expect(reached(assignment, end)).toBe(true);
      }),
    );
  });

  test('steps refer only to the assigned container', () => {
    fc.assert(
      fc.property(assignmentArbitrary, maybeObserved, (assignment, observed) => {
        for (const step of plan(assignment, observed)) {
          expect(step.containerId).toBe(ID);
          if ('container' in step) expect(step.container).toBe(assignment.container);
        }
      }),
    );
  });

  test('files are removed only for the target Absent', () => {
    fc.assert(
      fc.property(assignmentArbitrary, maybeObserved, (assignment, observed) => {
        const kinds = plan(assignment, observed).map(({ kind }) => kind);
        expect(kinds.includes('removeWritableLayer')).toBe(
          assignment.target === 'Absent' && observed !== null,
        );
      }),
    );
  });

  test('a utility VM is created in the order of hcsshim, and a provisioned one is used', () => {
    const wanted = container({ id: ID, runtimeType: 'HyperV' });
    const assignment: Assignment = {
      containerId: ID,
      container: wanted,
      target: 'Running',
      stopTimeoutSeconds: 0,
      instanceId: 'i',
    };
    expect(plan(assignment, null).map(({ kind }) => kind)).toEqual([
      'createWritableLayer',
      'createUtilityVm',
      'connectGuest',
      'createNetworkEndpoint',
      'attachDisks',
      'mountLayers',
      'startProcess',
    ]);
    const provisioned = plan({ ...assignment, target: 'Provisioned' }, null).reduce(apply, NOTHING);
    expect(plan(assignment, provisioned).map(({ kind }) => kind)).toEqual([
      'createNetworkEndpoint',
      'attachDisks',
      'mountLayers',
      'startProcess',
    ]);
  });
});
