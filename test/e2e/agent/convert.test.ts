import { describe, expect, test } from '@jest/globals';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { useAgent } from '../../helpers/agent-under-test.ts';
import { container } from '../../helpers/assigned-container.ts';

const LONG = 60_000;
const under = useAgent();
const OTHER: Readonly<Record<RuntimeType, RuntimeType>> = { Default: 'HyperV', HyperV: 'Default' };
const FOREVER = ['sleep', '600'];

const convert = (one: AssignedContainer, extra: { onFailure?: 'restore' | 'stop' } = {}) =>
  under.command(
    {
      verb: 'convertContainer',
      container: { ...one, runtimeType: OTHER[one.runtimeType] },
      from: one.runtimeType,
      timeoutSeconds: 5,
      acceptUntrustedDisk: one.runtimeType === 'HyperV',
      ...extra,
    },
    one,
    { epoch: 2 },
  );
const restore = (one: AssignedContainer, to: 'Off' | 'Running') =>
  under.command({ verb: 'restoreContainer', to, container: one }, one, { epoch: 2 });
const layerOf = ({ id }: AssignedContainer) => under.world((world) => world.container(id)?.layerId);
const seen = ({ id }: AssignedContainer) =>
  under.world((world) => {
    const one = world.container(id);
    return {
      runtimeType: one?.container.runtimeType,
      running: one?.run != null && one.run.endedAt === null,
      utilityVm: one?.utilityVm,
      mounted: one?.layersMounted,
      disks: one?.disksAttached,
    };
  });
const up = (runtimeType: RuntimeType) => ({
  runtimeType,
  running: true,
  utilityVm: runtimeType === 'HyperV' ? 'Connected' : 'Absent',
  mounted: true,
  disks: runtimeType === 'HyperV',
});
const down = (runtimeType: RuntimeType) => ({
  runtimeType,
  running: false,
  utilityVm: 'Absent',
  mounted: false,
  disks: false,
});

/** The steps of a conversion that can fail, by the target type. */
const STEPS: Readonly<Record<RuntimeType, readonly string[]>> = {
  HyperV: [
    'stopProcess',
    'unmountLayers',
    'removeNetworkEndpoint',
    'setRuntimeType',
    'createUtilityVm',
    'connectGuest',
    'createNetworkEndpoint',
    'attachDisks',
    'mountLayers',
    'startProcess',
  ],
  Default: [
    'stopProcess',
    'unmountLayers',
    'detachDisks',
    'removeNetworkEndpoint',
    'destroyUtilityVm',
    'setRuntimeType',
    'createNetworkEndpoint',
    'mountLayers',
    'startProcess',
  ],
};
const EVERY_STEP = (['Default', 'HyperV'] as const).flatMap((from) =>
  STEPS[OTHER[from]].map((step) => [from, step] as const),
);

describe('a conversion', () => {
  test.each<RuntimeType>(['Default', 'HyperV'])(
    'of a running %s container keeps the files, starts a new main process and reports the downtime; a repeat has no effect',
    async (from) => {
      await under.connected('linux');
      const one = container({ runtimeType: from, command: FOREVER });
      await under.carriedOut(under.start(one));
      const layer = layerOf(one);
      const command = convert(one);
      const result = await under.carriedOut(command);
      expect(result).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Running', runtimeType: OTHER[from] },
        downtimeMs: expect.any(Number),
      });
      expect(result.status === 'succeeded' && (result.downtimeMs ?? 0) > 0).toBe(true);
      const names = result.steps.map(({ name }) => name);
      expect(names).toEqual([
        ...STEPS[OTHER[from]].map((step) => step.charAt(0).toUpperCase() + step.slice(1)),
        'Verify',
      ]);
      expect(seen(one)).toEqual(up(OTHER[from]));
      expect(layerOf(one)).toBe(layer);
      under.plane.deliver(command);
      expect(under.runsOf(one)).toHaveLength(2);
    },
    LONG,
  );

  test(
    'of a stopped container changes its type, starts no process and has no downtime',
    async () => {
      await under.connected('linux');
      const one = container({ command: FOREVER });
      await under.carriedOut(under.command({ verb: 'prepareContainer', container: one }, one));
      const result = await under.carriedOut(convert(one));
      expect(result).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Off', runtimeType: 'HyperV' },
        downtimeMs: null,
      });
      expect(result.steps.map(({ name }) => name)).toEqual(['SetRuntimeType']);
      expect(seen(one)).toEqual(down('HyperV'));
      expect(under.runsOf(one)).toEqual([]);
    },
    LONG,
  );

  test(
    'of a container whose main process has exited does not start it again',
    async () => {
      await under.connected('linux');
      const one = container({ command: ['sh', '-c', 'exit 3'] });
      await under.carriedOut(under.start(one));
      await under.plane.until(() => under.plane.observed.get(one.id)?.phase === 'Off', 'its end');
      const result = await under.carriedOut(convert(one));
      expect(result).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Off', runtimeType: 'HyperV' },
      });
      expect(under.runsOf(one)).toHaveLength(1);
    },
    LONG,
  );

  test(
    'on a host that cannot convert fails with its own error code and is rolled back',
    async () => {
      await under.connected('server-core');
      const one = container({ image: 'windowsservercore', command: ['ping', '-t', 'localhost'] });
      await under.carriedOut(under.start(one));
      const result = await under.carriedOut(convert(one));
      expect(result).toMatchObject({
        status: 'failed',
        error: { code: 'runtime-conversion-unsupported', step: 'SetRuntimeType' },
        observed: { phase: 'Running', runtimeType: 'Default' },
      });
      expect(seen(one)).toEqual(up('Default'));
    },
    LONG,
  );

  test(
    'is superseded by a removal while a step hangs',
    async () => {
      await under.connected('linux');
      const one = container({ command: FOREVER });
      await under.carriedOut(under.start(one));
      under.world((world) => world.addFault('createUtilityVm', 'hang', 1));
      const command = convert(one);
      under.plane.give(command);
      await under.plane.until(() => seen(one).runtimeType === 'HyperV', 'the switch');
      const removal = under.command({ verb: 'removeContainer' }, one, { epoch: 3 });
      expect(await under.carriedOut(removal)).toMatchObject({ status: 'succeeded' });
      expect(under.world((world) => world.container(one.id))).toBeNull();
      expect(await under.plane.result(command.id)).toMatchObject({
        status: 'failed',
        error: { code: 'operation-aborted' },
      });
    },
    LONG,
  );
});

describe('a fault in each step', () => {
  test.each(EVERY_STEP)(
    'from %s, %s fails: the container is unchanged',
    async (from, step) => {
      await under.connected('linux');
      const one = container({ runtimeType: from, command: FOREVER });
      await under.carriedOut(under.start(one));
      const layer = layerOf(one);
      under.world((world) => world.addFault(step, 'fail', 1));
      const result = await under.carriedOut(convert(one));
      expect(result).toMatchObject({
        status: 'failed',
        observed: { phase: 'Running', runtimeType: from },
      });
      expect(seen(one)).toEqual(up(from));
      expect(layerOf(one)).toBe(layer);
    },
    LONG,
  );

  test.each(EVERY_STEP)(
    'from %s, %s fails and so does the rollback: the control plane’s Restore completes it',
    async (from, step) => {
      await under.connected('linux');
      const one = container({ runtimeType: from, command: FOREVER });
      await under.carriedOut(under.start(one));
      under.world((world) => world.addFault(step, 'fail', 2));
      expect(await under.carriedOut(convert(one))).toMatchObject({ status: 'failed' });
      // The injected failure hits only the conversion, not the rollback.
      under.world((world) => world.addFault(step, 'fail', 0));
      expect(await under.carriedOut(restore(one, 'Running'))).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Running', runtimeType: from },
      });
      expect(seen(one)).toEqual(up(from));
    },
    LONG,
  );

  test.each(
    EVERY_STEP.flatMap(([from, step]) => [
      [from, step, 'die-before'] as const,
      [from, step, 'die-after'] as const,
    ]),
  )(
    'from %s, the agent is killed at %s (%s): the next agent completes the conversion with one new run',
    async (from, step, action) => {
      await under.connected('linux');
      const one = container({ runtimeType: from, command: FOREVER });
      await under.carriedOut(under.start(one));
      const layer = layerOf(one);
      under.world((world) => world.addFault(step, action, 1));
      const command = convert(one);
      under.plane.give(command);
      await under.agent.exited();
      under.agent.start();
      expect(await under.plane.result(command.id)).toMatchObject({
        status: 'succeeded',
        observed: { phase: 'Running', runtimeType: OTHER[from] },
      });
      expect(seen(one)).toEqual(up(OTHER[from]));
      expect(layerOf(one)).toBe(layer);
      expect(under.runsOf(one)).toHaveLength(2);
    },
    LONG,
  );

  test.each([
    ['setRuntimeType', 'fail'],
    ['setRuntimeType', 'die-before'],
    ['setRuntimeType', 'die-after'],
  ] as const)(
    'of a stopped container, %s: %s',
    async (step, action) => {
      await under.connected('linux');
      const one = container({ command: FOREVER });
      await under.carriedOut(under.command({ verb: 'prepareContainer', container: one }, one));
      under.world((world) => world.addFault(step, action, 1));
      const command = convert(one);
      under.plane.give(command);
      if (action !== 'fail') {
        await under.agent.exited();
        under.agent.start();
      }
      const result = await under.plane.result(command.id);
      const runtimeType = action === 'fail' ? 'Default' : 'HyperV';
      expect(result).toMatchObject({ observed: { phase: 'Off', runtimeType } });
      expect(seen(one)).toEqual(down(runtimeType));
    },
    LONG,
  );
});
