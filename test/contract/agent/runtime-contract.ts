import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as z from 'zod/mini';
import { systemClock } from '../../../agent/clock.ts';
import { executePlan } from '../../../agent/execute/execute-plan.ts';
import { EXECUTORS } from '../../../agent/execute/executors.ts';
import { StepRecorder } from '../../../agent/execute/step-recorder.ts';
import { plan, type Target } from '../../../agent/plan/plan.ts';
import { PROBE_NAMES } from '../../../agent/runtimes/isolation-probes.ts';
import type { Runtime, RuntimeContainer } from '../../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import { IsolationReportSchema, ProcessSchema } from '../../../core/contract/compute-process.ts';
import { HostFactsSchema } from '../../../core/contract/host.ts';
import { ImageFactsSchema } from '../../../core/contract/image.ts';
import { IsolationVerificationSchema } from '../../../core/contract/isolation-verification.ts';
import { resolveNetworkPolicy } from '../../../core/contract/network.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';

export interface RuntimeUnderTest {
  readonly runtime: Runtime;
  /** An image of the host, and commands in it. */
  readonly image: string;
  readonly longRunning: string[];
  readonly exitsWith3: string[];
  /** Ignores the request to stop. */
  readonly stubborn: string[];
  readonly dispose: () => Promise<void>;
}

const signal = new AbortController().signal;

/** Tests of the rules for every runtime, in terms of the planner's steps. A test file calls it. */
export const runtimeContract = (name: string, open: () => Promise<RuntimeUnderTest>): void => {
  describe(`the runtime ${name}`, () => {
    let subject: RuntimeUnderTest;
    let runtime: Runtime;
    beforeEach(async () => {
      subject = await open();
      runtime = subject.runtime;
    });
    afterEach(() => subject.dispose());

    const make = (runtimeType: RuntimeType, command = subject.longRunning): AssignedContainer =>
      container({ image: subject.image, runtimeType, command, switchName: 'none' });
    const inspectContainer = async (one: AssignedContainer): Promise<RuntimeContainer | null> =>
      (await runtime.inspect(one.id))[0] ?? null;
    const bring = async (one: AssignedContainer, target: Target, instanceId: string = randomUUID()) => {
      const assignment = { containerId: one.id, container: one, target, stopTimeoutSeconds: 0, instanceId };
      const recorder = new StepRecorder(systemClock, () => undefined);
      await executePlan({ runtime, clock: systemClock }, plan(assignment, await inspectContainer(one)), {
        recorder,
        signal,
      });
    };
    const ended = async (one: AssignedContainer): Promise<RuntimeContainer | null> => {
      for (;;) {
        const seen = await inspectContainer(one);
        if (!seen?.process?.running) return seen;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };

    test('facts and images match the schemas of the contract', async () => {
      z.parse(HostFactsSchema, await runtime.facts());
      expect(z.parse(z.array(ImageFactsSchema), await runtime.images()).map(({ name }) => name)).toContain(
        subject.image,
      );
    });

    test.each<RuntimeType>(['Default', 'HyperV'])(
      'a %s container can be started and stopped',
      async (runtimeType) => {
        const one = make(runtimeType);
        expect(await inspectContainer(one)).toBeNull();
        await bring(one, 'Off');
        expect(await inspectContainer(one)).toMatchObject({
          writableLayer: true,
          runtimeType,
          process: null,
          workerProcess: null,
        });
        await bring(one, 'Running', 'run-1');
        const up = await inspectContainer(one);
        expect(up).toMatchObject({
          process: { running: true, instanceId: 'run-1', exitCode: null },
          layersMounted: true,
        });
        expect(up?.utilityVm).toBe(runtimeType === 'HyperV' ? 'Connected' : 'Absent');
        await bring(one, 'Off');
        expect(await inspectContainer(one)).toMatchObject({
          process: { running: false, exitCode: 137 },
          utilityVm: 'Absent',
          layersMounted: false,
          disksAttached: false,
        });
        await bring(one, 'Absent');
        expect(await inspectContainer(one)).toBeNull();
      },
    );

    test.each<RuntimeType>(['Default', 'HyperV'])(
      'every step of a %s container can be repeated',
      async (runtimeType) => {
        const one = make(runtimeType);
        const twice: Runtime['inspect'] = (id) => runtime.inspect(id);
        const walk = async (target: Target) => {
          const assignment = {
            containerId: one.id,
            container: one,
            target,
            stopTimeoutSeconds: 0,
            instanceId: 'only',
          };
          for (const step of plan(assignment, (await twice(one.id))[0] ?? null)) {
            const act = EXECUTORS[step.kind] as (r: Runtime, s: typeof step, a: AbortSignal) => Promise<void>;
            await act(runtime, step, signal);
            const after = await inspectContainer(one);
            await act(runtime, step, signal);
            expect(await inspectContainer(one)).toEqual(after);
          }
        };
        await walk('Running');
        expect(await inspectContainer(one)).toMatchObject({ process: { running: true } });
        await walk('Absent');
        expect(await inspectContainer(one)).toBeNull();
      },
    );

    test('a run does not start twice with the same instance id', async () => {
      const one = make('Default', subject.exitsWith3);
      await bring(one, 'Running', 'once');
      expect(await ended(one)).toMatchObject({
        process: { instanceId: 'once', running: false, exitCode: 3 },
      });
      const before = await inspectContainer(one);
      await runtime.startProcess(one, 'once', signal);
      expect(await inspectContainer(one)).toEqual(before);
    });

    const convertDown = async (one: AssignedContainer, runtimeType: RuntimeType, accepted: boolean) =>
      runtime.setRuntimeType({ ...one, runtimeType }, accepted, signal);
    const isUntrusted = async (one: AssignedContainer) => (await inspectContainer(one))?.untrustedDisk;

    test('the host mounts a disk that code in a VM may have written only with consent', async () => {
      const one = make('HyperV');
      await bring(one, 'Off');
      expect(await isUntrusted(one)).toBe(false);
      await bring(one, 'Running');
      expect(await isUntrusted(one)).toBe(true);
      await bring(one, 'Off');
      expect(await isUntrusted(one)).toBe(true);
      await expect(convertDown(one, 'Default', false)).rejects.toMatchObject({
        code: 'untrusted-disk',
        message: expect.stringContaining(one.id),
      });
      expect(await inspectContainer(one)).toMatchObject({ runtimeType: 'HyperV', layersMounted: false });
      await convertDown(one, 'Default', true);
      await bring({ ...one, runtimeType: 'Default' }, 'Running');
      expect(await inspectContainer(one)).toMatchObject({ runtimeType: 'Default', untrustedDisk: false });
    });

    test('a container whose disk no code in a VM has written can be converted in both directions', async () => {
      const one = make('Default');
      await bring(one, 'Running');
      await bring(one, 'Off');
      await convertDown(one, 'HyperV', false);
      await bring({ ...one, runtimeType: 'HyperV' }, 'Provisioned');
      await bring({ ...one, runtimeType: 'HyperV' }, 'Off');
      await convertDown(one, 'Default', false);
      expect(await inspectContainer(one)).toMatchObject({ runtimeType: 'Default', untrustedDisk: false });
    });

    test('an exit is reported to listeners', async () => {
      const one = make('HyperV', subject.exitsWith3);
      const told = new Promise<string>((resolve) => runtime.onExit(resolve));
      await bring(one, 'Running');
      expect(await told).toBe(one.id);
      expect(await inspectContainer(one)).toMatchObject({ process: { running: false, exitCode: 3 } });
    });

    test('a process that ignores the request to stop is killed after the timeout', async () => {
      const one = make('Default', subject.stubborn);
      await bring(one, 'Running');
      await runtime.stopProcess(one.id, 1, signal);
      expect(await inspectContainer(one)).toMatchObject({ process: { running: false, exitCode: 137 } });
    });

    test('aborting a stop ends the wait for the process', async () => {
      const one = make('Default', subject.stubborn);
      await bring(one, 'Running');
      const abort = new AbortController();
      const stopping = runtime.stopProcess(one.id, 600, abort.signal);
      abort.abort(new TypeError('never mind'));
      await expect(stopping).rejects.toThrow();
      expect(await inspectContainer(one)).toMatchObject({ process: { running: true } });
      await bring(one, 'Absent');
    });

    test('the host’s list has the processes of a Default container, but only the worker of a HyperV container', async () => {
      const shared = make('Default');
      const isolated = make('HyperV');
      await bring(shared, 'Running');
      await bring(isolated, 'Running');
      const host = z.parse(z.array(ProcessSchema), await runtime.listHostProcesses());
      const inside = z.parse(z.array(ProcessSchema), await runtime.listProcesses(shared.id));
      expect(inside.length).toBeGreaterThan(0);
      for (const { hostPid, name } of inside)
        expect(host).toContainEqual(expect.objectContaining({ pid: hostPid, name }));
      const own = z.parse(z.array(ProcessSchema), await runtime.listProcesses(isolated.id));
      expect(own.length).toBeGreaterThan(0);
      expect(own.every(({ hostPid }) => hostPid === undefined)).toBe(true);
      const worker = (await inspectContainer(isolated))?.workerProcess;
      expect(worker?.userName).toBe(isolated.id.toUpperCase());
      expect(host).toContainEqual(expect.objectContaining({ pid: worker?.pid, userName: worker?.userName }));
      expect(new Set(host.map(({ pid }) => pid)).size).toBe(host.length);
      await bring(shared, 'Absent');
      await bring(isolated, 'Absent');
    });

    test.each<RuntimeType>(['Default', 'HyperV'])(
      'a network policy has no effect on a %s container without a network',
      async (runtimeType) => {
        const one = make(runtimeType);
        const policy = resolveNetworkPolicy({ egress: { default: 'deny' } });
        await runtime.setNetworkPolicy(one.id, policy);
        expect(await inspectContainer(one)).toBeNull();
        await bring(one, 'Running');
        await runtime.setNetworkPolicy(one.id, policy);
        const report = z.parse(IsolationReportSchema, await runtime.isolation(one.id));
        expect(report.network ?? null).toBeNull();
        await bring(one, 'Absent');
      },
    );

    test.each<RuntimeType>(['Default', 'HyperV'])(
      'a verification of a %s container has each probe once and does not change the container',
      async (runtimeType) => {
        const one = make(runtimeType);
        await bring(one, 'Off');
        await expect(runtime.verifyIsolation(one.id, signal)).rejects.toMatchObject({
          code: 'invalid-state',
        });
        await bring(one, 'Running');
        const before = await inspectContainer(one);
        const processes = (await runtime.listProcesses(one.id)).length;
        const verification = z.parse(
          IsolationVerificationSchema,
          await runtime.verifyIsolation(one.id, signal),
        );
        expect(verification.runtimeType).toBe(runtimeType);
        expect(verification.probes.map(({ name }) => name)).toEqual(PROBE_NAMES);
        expect(verification.simulated).toBe(runtime.name === 'simulated' ? true : undefined);
        expect(await inspectContainer(one)).toEqual(before);
        expect(await runtime.listProcesses(one.id)).toHaveLength(processes);
        await bring(one, 'Absent');
      },
    );

    test('errors have specific codes', async () => {
      const one = make('Default');
      await expect(
        runtime.createWritableLayer({ ...one, spec: { ...one.spec, image: 'nowhere' } }, signal),
      ).rejects.toMatchObject({ code: 'image-not-found' });
      await expect(runtime.listProcesses(one.id)).rejects.toMatchObject({ code: 'invalid-state' });
      await bring(one, 'Off');
      const off = { ...one, spec: { ...one.spec, switchName: 'nowhere' } };
      await expect(runtime.createNetworkEndpoint(off, signal)).rejects.toMatchObject({
        code: 'switch-not-found',
      });
      await expect(runtime.removeImage(subject.image)).rejects.toMatchObject({ code: 'image-in-use' });
      await bring(one, 'Absent');
    });

    test('a command that the image does not have fails the start with the command’s name', async () => {
      const one = make('Default', ['no-such-program', '--flag']);
      await expect(bring(one, 'Running')).rejects.toThrow(/no-such-program/);
      await bring(one, 'Absent');
    });
  });
};
