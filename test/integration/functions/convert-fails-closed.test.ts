import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { decideConversion } from '../../../workflow/conversion/decide-conversion.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { commandsIn } from '../../helpers/signing.ts';

let engine: Engine;
let world: World;
let host: FakeHost;

beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  world = openWorld(await engine.table());
  host = await world.addHost();
  await world.connect(host);
  await world.settle();
});

const running = async (): Promise<string> => {
  const { id } = await world.create();
  await world.settle();
  return id;
};
const freeMemory = async () => (await world.host(host.hostId)).free.memoryMB;
/** In the table and on the host: off, of type HyperV, with the reason and without a reservation. */
const expectStoppedAsHyperV = async (id: string, code: string) => {
  expect(await world.container(id)).toMatchObject({
    reservation: null,
    conversion: null,
    view: { state: 'Off', runtimeType: 'HyperV', activeOperationId: null, lastError: { code } },
  });
  expect(host.containers.get(id)).toMatchObject({ phase: 'Off', runtimeType: 'HyperV' });
};
const begins = (id: string) => {
  const seen = host.containers.get(id);
  if (seen === undefined) throw new TypeError('not there');
  host.untrusted.add(id);
  host.containers.set(id, { ...seen, runtimeType: 'HyperV', sequence: (seen.sequence ?? 0) + 50, epoch: 2 });
};

describe('a conversion to HyperV that fails after code of the container has run in the VM', () => {
  test('ends off, as HyperV; it starts again in a VM, and returns to Default only with consent', async () => {
    const id = await running();
    host.breaking.add('convertContainer');
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle(2);
    expect((await world.operation(operationId)).view).toMatchObject({
      state: 'Failed',
      error: { code: 'step-failed' },
    });
    await expectStoppedAsHyperV(id, 'step-failed');
    expect(await freeMemory()).toBe(4096);

    await world.begin(id, 'start');
    await world.settle();
    expect(host.containers.get(id)).toMatchObject({ phase: 'Running', runtimeType: 'HyperV' });
    const container = await world.container(id);
    if (container === undefined) throw new TypeError('not there');
    await expect(decideConversion(world.table, container, 'Default', false)).rejects.toMatchObject({
      code: 'untrusted-disk',
    });
  });

  test('and whose result is lost continues in its VM if it runs there', async () => {
    const id = await running();
    host.silentOn.add('convertContainer');
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    begins(id);
    await world.handlers.settle(world.tasks.abort(operationId));
    await world.settle(2);
    expect((await world.container(id))?.view).toMatchObject({ state: 'Running', runtimeType: 'HyperV' });
    expect(host.containers.get(id)).toMatchObject({ phase: 'Running', runtimeType: 'HyperV' });
  });

  test('and whose result is lost ends off if it has ended in its VM', async () => {
    const id = await running();
    host.silentOn.add('convertContainer');
    const { operationId } = await world.convert(id, 'HyperV');
    await world.settle();
    begins(id);
    host.exit(id, 1);
    await world.handlers.settle(world.tasks.abort(operationId));
    await world.settle(2);
    await expectStoppedAsHyperV(id, 'operation-aborted');
  });
});

describe('a conversion that a rule requested', () => {
  const byRule = (id: string) =>
    world.convert(id, 'HyperV', { acceptUntrustedDisk: false, failsClosed: true });
  const commandsOf = (verb: string) =>
    commandsIn(host.received)
      .map((one) => one.arguments)
      .filter((given) => given.verb === verb);

  test('makes its host stop the container if it fails', async () => {
    const id = await running();
    await byRule(id);
    await world.settle();
    expect(commandsOf('convertContainer')).toMatchObject([{ onFailure: 'stop' }]);
    expect((await world.container(id))?.view).toMatchObject({ state: 'Running', runtimeType: 'HyperV' });
  });

  test('leaves the container off if its host fails, even if no code has run in a VM', async () => {
    const id = await running();
    host.failing.add('convertContainer');
    await byRule(id);
    await world.settle(2);
    await expectStoppedAsHyperV(id, 'step-failed');
  });

  test('leaves the container off if its workflow is aborted', async () => {
    const id = await running();
    host.silentOn.add('convertContainer');
    const { operationId } = await byRule(id);
    await world.settle();
    await world.handlers.settle(world.tasks.abort(operationId));
    await world.settle(2);
    await expectStoppedAsHyperV(id, 'operation-aborted');
  });

  test('leaves the container off if there was no capacity for a VM', async () => {
    const id = await running();
    const other = await world.create({ memoryMB: (await freeMemory()) - 32 });
    await world.settle();
    const { operationId } = await byRule(id);
    await world.settle();
    await world.handlers.settle(world.tasks.abort(operationId));
    await world.settle(2);
    expect(commandsOf('convertContainer')).toEqual([]);
    await expectStoppedAsHyperV(id, 'operation-aborted');
    expect((await world.container(other.id))?.view.state).toBe('Running');
  });

  test('to Default never fails closed', async () => {
    const made = await world.create({ runtimeType: 'HyperV', start: false });
    await world.settle();
    const { operation } = await world.convert(made.id, 'Default', { failsClosed: true });
    expect(operation.parameters.failsClosed).toBeUndefined();
  });
});
