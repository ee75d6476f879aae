import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CONTAINER_STATES, type ContainerState } from '../../../core/contract/container.ts';
import { AcceptedSchema } from '../../../core/contract/http/routes.ts';
import { listOpenCommands } from '../../../store/commands.ts';
import { type ContainerRecord, containerItem, parseContainer } from '../../../store/containers.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { type OperationRecord, operationItem, parseOperation } from '../../../store/operations.ts';
import { createApi } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { containerRecord, operationRecord, TENANT, testId } from '../../helpers/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const setUp = async (container: ContainerRecord, ...operations: OperationRecord[]) => {
  const { table } = await engine.table();
  await table.put({ Item: containerItem(container) });
  for (const operation of operations) await table.put({ Item: operationItem(operation) });
  const api = createApi(table);
  const read = async () => {
    const item = await table.get(keys.container(TENANT, container.id));
    return item && parseContainer(item);
  };
  const readOperation = async (id: string) => {
    const item = await table.get(keys.operation(TENANT, id));
    return item && parseOperation(item);
  };
  /** The verbs of the commands that its host has not answered. */
  const verbs = async () =>
    (await listOpenCommands(table, TENANT, testId(900))).map(({ command }) => command.arguments.verb);
  const ask = (operationId: string, given = {}) =>
    api.call(operationId, { params: { idOrName: container.id }, ...given });
  return { ...api, table, read, readOperation, verbs, ask };
};

describe('an operation starts', () => {
  const begins: [string, ContainerState, string, string, object][] = [
    ['startContainer', 'Off', 'Starting', 'machine provision-process', {}],
    ['startContainer', 'Failed', 'Starting', 'machine provision-process', {}],
    ['stopContainer', 'Running', 'Stopping', 'command stopContainer', { timeoutSeconds: 10 }],
    ['stopContainer', 'Unknown', 'Stopping', 'command stopContainer', { timeoutSeconds: 10 }],
    ['killContainer', 'Running', 'Stopping', 'command stopContainer', { timeoutSeconds: 0 }],
    ['restartContainer', 'Running', 'Stopping', 'command restartContainer', { timeoutSeconds: 10 }],
    ['restartContainer', 'Off', 'Starting', 'machine provision-process', { timeoutSeconds: 10 }],
    ['removeContainer', 'Off', 'Removing', 'command removeContainer', { force: false }],
    ['removeContainer', 'Failed', 'Removing', 'command removeContainer', { force: false }],
  ];
  test.each(begins)(
    '%s of one that is %s: %s, by the %s',
    async (operationId, state, during, how, parameters) => {
      const { ask, read, readOperation, verbs, outside } = await setUp(containerRecord(state));
      const answer = await ask(operationId);
      expect(answer.status).toBe(202);
      const { container, operation } = AcceptedSchema.parse(answer.body);
      expect(container).toMatchObject({ state: during, activeOperationId: operation.id, revision: 4 });
      expect(await read()).toMatchObject({ epoch: 2, stateBefore: state, revision: 4 });
      expect(await readOperation(operation.id)).toMatchObject({ epoch: 2, parameters });
      expect([
        ...outside.started.map(({ machine }) => `machine ${machine}`),
        ...(await verbs()).map((verb) => `command ${verb}`),
      ]).toEqual([how]);
    },
  );

  test('a forced removal of a running container', async () => {
    const { ask, readOperation } = await setUp(containerRecord('Running'));
    const { status, body } = await ask('removeContainer', { query: 'force=true' });
    expect(status).toBe(202);
    expect((await readOperation(body.operation.id))?.parameters).toEqual({ force: true });
  });

  test('a start of a HyperV container by name uses the machine with a utility VM', async () => {
    const { table, call, outside } = await setUp(containerRecord('Off', { view: { runtimeType: 'HyperV' } }));
    await table.put({
      Item: createItem('containerName', keys.containerName(TENANT, 'container-1'), {
        containerId: testId(1),
      }),
    });
    expect((await call('startContainer', { params: { idOrName: 'container-1' } })).status).toBe(202);
    expect(outside.started[0]?.machine).toBe('place-utility-vm');
  });

  test('even if its execution cannot be started, because the table’s stream starts it too', async () => {
    const { ask, outside, lines, read } = await setUp(containerRecord('Off'));
    outside.onStart = async () => {
      throw new TypeError('no route to Step Functions');
    };
    expect((await ask('startContainer')).status).toBe(202);
    expect((await read())?.view.state).toBe('Starting');
    expect(lines.join()).toContain('could not start an execution; the stream starts it');
  });
});

describe('an action without effect', () => {
  test.each([
    ['startContainer', 'Running', 'start'],
    ['stopContainer', 'Off', 'stop'],
    ['stopContainer', 'Failed', 'stop'],
    ['killContainer', 'Off', 'kill'],
  ] as const)('%s of one that is %s succeeds and changes nothing', async (operationId, state, kind) => {
    const { ask, read, readOperation, outside } = await setUp(containerRecord(state));
    const answer = await ask(operationId);
    expect(answer.status).toBe(200);
    const { operation } = AcceptedSchema.parse(answer.body);
    expect(operation).toMatchObject({ kind, state: 'Succeeded', steps: [] });
    expect((await readOperation(operation.id))?.view.state).toBe('Succeeded');
    expect(await read()).toEqual(
      containerRecord(state, { rest: { observedSequence: null, conversion: null } }),
    );
    expect(outside.started).toEqual([]);
  });
});

describe('a refused request', () => {
  test('every combination of action and state starts an operation, has no effect, or is a conflict', async () => {
    const { table, call } = await setUp(containerRecord('Off'));
    const actions = [
      'startContainer',
      'stopContainer',
      'killContainer',
      'restartContainer',
      'removeContainer',
    ];
    let number = 100;
    for (const state of CONTAINER_STATES)
      for (const action of actions) {
        number += 1;
        await table.put({ Item: containerItem(containerRecord(state, { number })) });
        const { status, body } = await call(action, { params: { idOrName: testId(number) } });
        expect([state, action, [200, 202].includes(status) || body.code]).toEqual([
          state,
          action,
          status === 409 ? 'invalid-state' : true,
        ]);
      }
  });

  test('a removal of a running or Unknown container without force', async () => {
    for (const state of ['Running', 'Unknown'] as const) {
      const { ask, read } = await setUp(containerRecord(state));
      const answer = await ask('removeContainer');
      expect([answer.status, answer.body.code]).toEqual([409, 'invalid-state']);
      expect(answer.body.suggestion).toContain('force=true');
      expect((await read())?.view.state).toBe(state);
    }
  });

  test('an action while another operation has the container, with the id of that operation', async () => {
    const busy = containerRecord('Starting', { view: { activeOperationId: testId(50) } });
    const { ask } = await setUp(busy, operationRecord(50));
    for (const action of ['stopContainer', 'killContainer', 'restartContainer']) {
      const answer = await ask(action);
      expect([answer.status, answer.body.code, answer.body.context]).toEqual([
        409,
        'operation-in-progress',
        { operationId: testId(50) },
      ]);
    }
  });

  test('an outdated revision; the newest revision and * are accepted', async () => {
    const { ask } = await setUp(containerRecord('Off'));
    const stale = await ask('startContainer', { headers: { 'if-match': '"2"' } });
    expect([stale.status, stale.body.code, stale.body.context]).toEqual([
      412,
      'revision-mismatch',
      { revision: 3 },
    ]);
    expect((await ask('startContainer', { headers: { 'if-match': '"3"' } })).status).toBe(202);
    const other = await setUp(containerRecord('Off'));
    expect((await other.ask('startContainer', { headers: { 'if-match': '*' } })).status).toBe(202);
  });

  test('a dry run reports what would be done, and changes nothing', async () => {
    const { ask, read, outside } = await setUp(containerRecord('Off'));
    const answer = await ask('removeContainer', { query: 'dryRun=true' });
    expect([answer.status, answer.body.wouldDo]).toEqual([200, 'remove container "container-1"']);
    expect([(await read())?.revision, outside.started.length]).toEqual([3, 0]);
    const refused = await setUp(containerRecord('Running'));
    expect((await refused.ask('removeContainer', { query: 'dryRun=true' })).status).toBe(409);
  });
});

describe('a removal has priority over the active operation', () => {
  const busy = (placeToken: string | null = null) =>
    setUp(
      containerRecord('Starting', { view: { activeOperationId: testId(50) } }),
      operationRecord(50, { state: 'Running' }, { placeToken }),
    );

  test('waits for that operation, which is cancelled', async () => {
    const { ask, read, readOperation, outside } = await busy('place-token');
    const answer = await ask('removeContainer');
    expect(answer.status).toBe(202);
    const { operation } = AcceptedSchema.parse(answer.body);
    expect(operation).toMatchObject({ kind: 'remove', state: 'Pending' });
    expect(operation.reason).toContain(testId(50));
    expect(await read()).toMatchObject({ tombstone: operation.id, view: { activeOperationId: testId(50) } });
    expect((await readOperation(operation.id))?.after).toBe(testId(50));
    expect((await readOperation(testId(50)))?.view.state).toBe('Cancelling');
    expect(outside.failedTasks).toEqual([{ token: 'place-token', error: 'Bulkhead.Cancelled' }]);
    expect(outside.started).toEqual([]);
  });

  test('is returned again if it is requested again', async () => {
    const { ask } = await busy();
    const first = await ask('removeContainer');
    const second = await ask('removeContainer');
    expect([second.status, second.body.operation.id]).toEqual([202, first.body.operation.id]);
  });

  test('is returned again if it is requested while it is active', async () => {
    const { ask } = await setUp(containerRecord('Off'));
    const first = await ask('removeContainer');
    const second = await ask('removeContainer');
    expect([second.status, second.body.operation.id]).toEqual([202, first.body.operation.id]);
  });

  test('can be requested again after a waiting removal was cancelled', async () => {
    const { ask, call, read } = await busy();
    const first = await ask('removeContainer');
    const cancelled = await call('cancelOperation', { params: { id: first.body.operation.id } });
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'Cancelled']);
    expect((await read())?.tombstone).toBeNull();
    const second = await ask('removeContainer');
    expect(second.status).toBe(202);
    expect(second.body.operation.id).not.toBe(first.body.operation.id);
  });
});

describe('an action that an active operation does already', () => {
  const busy = containerRecord('Starting', { view: { activeOperationId: testId(50) } });

  test.each([
    ['startContainer', 'start', {}],
    ['startContainer', 'create', { start: true }],
    ['stopContainer', 'stop', {}],
    ['killContainer', 'kill', {}],
    ['restartContainer', 'restart', {}],
  ] as const)('%s: %s is returned', async (action, kind, parameters) => {
    const active = operationRecord(50);
    const { ask, read } = await setUp(busy, { ...active, parameters, view: { ...active.view, kind } });
    const answer = await ask(action);
    expect([answer.status, answer.body.operation.id]).toEqual([202, testId(50)]);
    expect((await read())?.revision).toBe(busy.revision);
  });

  test('is refused while that operation is being cancelled', async () => {
    const active = operationRecord(50);
    const cancelling = { ...active, view: { ...active.view, state: 'Cancelling' as const } };
    const { ask } = await setUp(busy, cancelling);
    expect((await ask('startContainer')).body.code).toBe('operation-in-progress');
  });
});

describe('parallel requests', () => {
  test('start one operation, which all other requests return', async () => {
    const { ask, outside } = await setUp(containerRecord('Off'));
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask('startContainer')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => body.operation.id)).size).toBe(1);
    expect(outside.started).toHaveLength(1);
  });

  test('with one key get the same response, byte for byte', async () => {
    const { ask, outside } = await setUp(containerRecord('Off'));
    const headers = { 'idempotency-key': 'same' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('startContainer', { headers })));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect([answers[0]?.status, outside.started.length]).toEqual([202, 1]);
  });
});

test('Stop-ComputeProcess kills a running container, and any other is not found', async () => {
  const running = containerRecord('Running');
  const { table, call, verbs } = await setUp(containerRecord('Off'));
  const params = { id: running.id.toUpperCase() };
  expect((await call('stopComputeProcess', { params })).status).toBe(404);
  await table.put({ Item: containerItem(running) });
  expect((await call('stopComputeProcess', { params })).status).toBe(202);
  expect(await verbs()).toEqual(['stopContainer']);
});
