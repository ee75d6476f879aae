import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CONTAINER_STATES, ContainerSchema } from '../../../core/contract/container.ts';
import { AcceptedSchema } from '../../../core/contract/http/routes.ts';
import {
  DEFAULT_NETWORK_POLICY,
  type NetworkPolicy,
  resolveNetworkPolicy,
} from '../../../core/contract/network.ts';
import { eventOf } from '../../../functions/process-changes/event-of.ts';
import { parseCommand } from '../../../store/commands.ts';
import { type ContainerRecord, containerItem } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem } from '../../../store/images.ts';
import type { Item } from '../../../store/item.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import type { Table } from '../../../store/table.ts';
import { type Api, createApi } from '../../helpers/api.ts';
import { openWorld, type World } from '../../helpers/control-plane-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { FakeHost } from '../../helpers/fake-host.ts';
import { containerRecord, hostRecord, imageRecord, TENANT, testId } from '../../helpers/records.ts';
import { commandsIn, signCommand } from '../../helpers/signing.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const params = { idOrName: testId(1) };
const HOST = testId(900);
const network: NetworkPolicy = {
  egress: {
    default: 'deny',
    allow: [{ domain: '*.example.com', ports: [443, '8000-8100'], protocol: 'tcp' }],
  },
};
const port = (number: number): NetworkPolicy => ({
  egress: { deny: [{ cidr: '8.8.8.8', ports: [number] }] },
});

const pending = async (table: Table, hostId = HOST) =>
  (await table.query({ key: keys.command(TENANT, hostId, ''), sort: 'any' })).items.map(parseCommand);
const itemOf = (table: Table, id = testId(1)): Promise<Item | undefined> =>
  table.get(keys.container(TENANT, id), { consistent: true });
/** The type of the event for a change; undefined if the change causes no event. */
const typeOf = (before: Item | undefined, after: Item | undefined) =>
  eventOf({ sequenceNumber: '1', at: 0, before, after })?.event.type;

const setUp = async (container: ContainerRecord = containerRecord('Running')) => {
  const { table } = await engine.table();
  await table.put({ Item: containerItem(container) });
  await table.put({ Item: hostItem(hostRecord(900)) });
  await table.put({ Item: imageItem(imageRecord('NanoServer')) });
  const api = createApi(table);
  const patch = (body: object, given = {}) => api.call('updateContainer', { params, body, ...given });
  return { ...api, table, patch };
};

describe('a container is created', () => {
  test('with the requested policy and all defaults', async () => {
    const { call, table } = await setUp();
    const body = { name: 'walled', image: 'NanoServer', network };
    const answer = await call('createContainer', { body });
    expect(answer.status).toBe(202);
    const { container } = AcceptedSchema.parse(answer.body);
    expect([container.network, container.networkPending]).toEqual([resolveNetworkPolicy(network), false]);
    const read = await call('getContainer', { params: { idOrName: container.id } });
    expect(read.body).toEqual(container);
    expect((await itemOf(table, container.id))?.view?.M?.spec?.M?.network).toBeDefined();
  });

  test('with the default policy by default, which uses no storage', async () => {
    const { call, table } = await setUp();
    for (const more of [
      {},
      { network: {} },
      { network: { egress: { default: 'allow', deny: [] }, peers: 'none' } },
    ]) {
      const { container } = AcceptedSchema.parse(
        (await call('createContainer', { body: { image: 'NanoServer', ...more } })).body,
      );
      expect(container.network).toEqual(DEFAULT_NETWORK_POLICY);
      const spec = (await itemOf(table, container.id))?.view?.M?.spec?.M;
      expect([spec?.network, spec?.networkRevision]).toEqual([undefined, undefined]);
    }
  });
});

describe('a policy is changed', () => {
  test('immediately, with one event, and the host gets it', async () => {
    const { patch, call, table, outside } = await setUp();
    await table.put({ Item: { ...linkItem('connection-1') } });
    const before = await itemOf(table);
    const answer = await patch({ network });
    expect([answer.status, answer.headers.etag, answer.body.network, answer.body.networkPending]).toEqual([
      200,
      '"4"',
      resolveNetworkPolicy(network),
      true,
    ]);
    expect((await call('getContainer', { params })).body).toEqual(ContainerSchema.parse(answer.body));
    expect(typeOf(before, await itemOf(table))).toBe('Container Network Changed');
    const command = {
      id: `network:${testId(1)}:4`,
      hostId: HOST,
      containerId: testId(1),
      arguments: { verb: 'setNetworkPolicy', network: resolveNetworkPolicy(network), revision: 4 },
    };
    expect(outside.pushed).toMatchObject([{ connectionId: 'connection-1', command }]);
    expect(await pending(table)).toMatchObject([{ state: 'pending', command }]);
  });

  test('to the current policy, which has no effect unless the host has not confirmed it', async () => {
    const { patch, table, outside } = await setUp();
    expect((await patch({ network: {} })).headers.etag).toBe('"3"');
    await patch({ network });
    expect((await patch({ network })).headers.etag).toBe('"5"');
    expect((await pending(table)).map(({ command }) => command.id)).toEqual([`network:${testId(1)}:5`]);
    expect(outside.pushed).toEqual([]);
  });

  test('in every state; a container without a host gets it at its next start', async () => {
    for (const state of CONTAINER_STATES) {
      const { patch, table } = await setUp(containerRecord(state));
      const answer = await patch({ network });
      expect([state, answer.status, answer.body.state, answer.body.networkPending]).toEqual([
        state,
        200,
        state,
        true,
      ]);
      expect(await pending(table)).toHaveLength(1);
    }
    const { patch, table } = await setUp(containerRecord('Off', { view: { hostId: null } }));
    expect((await patch({ network })).body.networkPending).toBe(false);
    expect(await pending(table)).toEqual([]);
  });

  test('with If-Match, Idempotency-Key and dryRun, like any other mutation', async () => {
    const { patch, table } = await setUp();
    expect((await patch({ network }, { headers: { 'if-match': '"2"' } })).status).toBe(412);
    const dry = await patch({ network, labels: { a: 'b' } }, { query: 'dryRun=true' });
    expect([dry.status, dry.body.wouldDo]).toEqual([
      200,
      'change labels and network policy of container "container-1"',
    ]);
    expect(await pending(table)).toEqual([]);
    const headers = { 'idempotency-key': 'k', 'if-match': '"3"' };
    const first = await patch({ network }, { headers });
    const second = await patch({ network }, { headers });
    expect([second.status, second.text, second.headers.etag]).toEqual([200, first.text, '"4"']);
    expect((await patch({ network: port(1) }, { headers })).body.code).toBe('idempotency-key-reused');
    expect(await pending(table)).toHaveLength(1);
  });

  test('together with the runtime type: the conversion has the new policy, and the host gets it immediately', async () => {
    const running = containerRecord('Running', { rest: { reservation: { memoryMB: 128, cpus: 1 } } });
    const { patch, table } = await setUp(running);
    const host = hostRecord(900);
    const os = { family: 'windows' as const, sku: 'NanoServer', version: '10.0.14393', build: 14393 };
    const capabilities = {
      runtimeTypes: ['Default' as const, 'HyperV' as const],
      runtimeConversion: 'inPlace' as const,
    };
    const facts = { ...host.view.facts, os, capabilities };
    await table.put({ Item: hostItem({ ...host, view: { ...host.view, facts } }) });
    const answer = await patch({ runtimeType: 'HyperV', network });
    expect([answer.status, answer.body.container.state]).toEqual([202, 'Converting']);
    expect(answer.body.container.network).toEqual(resolveNetworkPolicy(network));
    expect(await pending(table)).toMatchObject([{ command: { arguments: { revision: 4 } } }]);
  });

  test('a hundred times, sequentially and in parallel: the last change is in force, and one command is left', async () => {
    const { patch, call, table } = await setUp();
    for (let number = 1; number <= 50; number += 1)
      expect((await patch({ network: port(number) })).status).toBe(200);
    const storm = await Promise.all(
      Array.from({ length: 50 }, (_, at) => patch({ network: port(100 + at) })),
    );
    const accepted = storm.filter(({ status }) => status === 200).length;
    expect(storm.every(({ status }) => status === 200 || status === 503)).toBe(true);
    const { body } = await call('getContainer', { params });
    expect(body.revision).toBe(53 + accepted);
    expect(await pending(table)).toMatchObject([
      { command: { arguments: { network: body.network, revision: body.revision } } },
    ]);
  });

  test('only by its own tenant with the required scope', async () => {
    const { patch, table } = await setUp();
    const other = await patch({ network }, { claims: { tenant: 'umbrella' } });
    const none = await patch(
      { network },
      { claims: { tenant: 'umbrella' }, params: { idOrName: testId(77) } },
    );
    expect([other.status, other.text]).toEqual([404, none.text]);
    expect((await patch({ network }, { claims: { scope: 'containers:read' } })).status).toBe(403);
    expect(await pending(table)).toEqual([]);
  });
});

const linkItem = (connectionId: string): Item =>
  createItem('hostLink', keys.hostLink(TENANT, HOST), { connectionId, lastSeenAt: 0 });

const HOSTILE = [
  ...[
    '',
    '$(id)',
    'a;b|c&d',
    '%PATH%',
    '"',
    "'",
    '\\',
    'a\r\nb',
    'a\0b',
    '\u202Egnp',
    'CON',
    '..',
    '-flag',
    '#',
  ],
  ...['T#acme#C#x', '__proto__', 'constructor', 'x'.repeat(5_000), 'a b', '@set', '{ drop }', 'example.com;'],
];

describe('an invalid policy', () => {
  const refused: readonly (readonly [string, unknown, string])[] = [
    ...HOSTILE.map(
      (text) =>
        [
          'a hostile cidr',
          { egress: { allow: [{ cidr: text }] } },
          '/body/network/egress/allow/0/cidr',
        ] as const,
    ),
    ...HOSTILE.filter((text) => !/^[a-z0-9_]+$/.test(text) || text.length > 63 || text.startsWith('_')).map(
      (text) =>
        [
          'a hostile domain',
          { egress: { deny: [{ domain: text }] } },
          '/body/network/egress/deny/0/domain',
        ] as const,
    ),
    ...HOSTILE.map(
      (text) =>
        [
          'a hostile port',
          { egress: { deny: [{ cidr: '8.8.8.8', ports: [text] }] } },
          '/body/network/egress/deny/0/ports/0',
        ] as const,
    ),
    ...HOSTILE.map(
      (text) =>
        [
          'a hostile protocol',
          { egress: { deny: [{ cidr: '8.8.8.8', protocol: text }] } },
          '/body/network/egress/deny/0/protocol',
        ] as const,
    ),
    ...HOSTILE.map((text) => ['hostile peers', { peers: text }, '/body/network/peers'] as const),
    ['host bits', { egress: { allow: [{ cidr: '10.1.2.3/8' }] } }, '/body/network/egress/allow/0/cidr'],
    [
      'both of cidr and domain',
      { egress: { allow: [{ cidr: '8.8.8.8', domain: 'a.b' }] } },
      '/body/network/egress/allow/0',
    ],
    [
      'an unknown member',
      { egress: { allow: [{ cidr: '8.8.8.8', from: 'x' }] } },
      '/body/network/egress/allow/0/from',
    ],
    [
      '65 rules',
      { egress: { deny: Array.from({ length: 65 }, () => ({ cidr: '8.8.8.8' })) } },
      '/body/network/egress/deny',
    ],
    [
      'more than fits in a message',
      {
        egress: {
          deny: Array.from({ length: 64 }, () => ({ cidr: '8.8.8.8', ports: Array(32).fill('10000-20000') })),
        },
      },
      '/body/network',
    ],
    ['no object', 'deny', '/body/network'],
  ];

  test('is refused with a pointer to the error, at create and change, and is not stored', async () => {
    const { call, table } = await setUp();
    const before = await itemOf(table);
    for (const [what, policy, pointer] of refused)
      for (const [operationId, given] of [
        ['updateContainer', { params, body: { network: policy } }],
        ['createContainer', { body: { image: 'NanoServer', network: policy } }],
      ] as const) {
        const { status, body } = await call(operationId, given);
        expect([what, status, body.code]).toEqual([what, 400, 'validation-failed']);
        expect([what, body.errors.map((one: { pointer: string }) => one.pointer)]).toEqual([what, [pointer]]);
      }
    expect(await itemOf(table)).toEqual(before);
    expect(await pending(table)).toEqual([]);
  });

  test('is refused with a correction', async () => {
    const { patch } = await setUp();
    const { body } = await patch({ network: { egress: { allow: [{ cidr: '10.1.2.3/8' }] } } });
    expect(body.errors).toEqual([
      { pointer: '/body/network/egress/allow/0/cidr', detail: 'Use 10.0.0.0/8.' },
    ]);
  });

  test('with 64 rules of each kind, each with its ports, is accepted', async () => {
    const { patch, call } = await setUp();
    const rules = Array.from({ length: 64 }, (_, at) => ({
      cidr: `8.8.${at}.0/24`,
      ports: [at + 1, '1000-2000'],
    }));
    const policy = { egress: { allow: rules, deny: rules } };
    expect((await patch({ network: policy })).status).toBe(200);
    expect((await call('getContainer', { params })).body.network.egress).toMatchObject(policy.egress);
  });
});

describe('a changed policy', () => {
  let world: World;
  let host: FakeHost;
  let api: Api;
  let id: string;

  beforeEach(async () => {
    world = openWorld(await engine.table());
    host = await world.addHost();
    await world.connect(host);
    ({ id } = await world.create());
    await world.settle();
    api = createApi(world.table);
    api.clock.ms = world.clock.now;
    api.outside.onPush = (connectionId, command) =>
      world.deps.push(connectionId, { action: 'command', ...signCommand(command) });
    host.received.length = 0;
  });

  const patch = async (policy: NetworkPolicy) => {
    const answer = await api.call('updateContainer', { params: { idOrName: id }, body: { network: policy } });
    expect(answer.status).toBe(200);
    return answer.body;
  };
  const view = async () => (await world.container(id))?.view;
  const told = () =>
    commandsIn(host.received).flatMap(({ arguments: args }) =>
      args.verb === 'setNetworkPolicy' ? [args] : [],
    );
  const pass = (milliseconds: number): void => {
    world.clock.now += milliseconds;
    api.clock.ms = world.clock.now;
  };

  test('is pushed, and is confirmed once the host has confirmed it, which causes no event', async () => {
    const { revision } = await patch(network);
    const before = await itemOf(world.table, id);
    await world.settle(2);
    expect(told()).toEqual([{ verb: 'setNetworkPolicy', network: resolveNetworkPolicy(network), revision }]);
    const after = await itemOf(world.table, id);
    expect([(await view())?.networkPending, typeOf(before, after)]).toEqual([false, undefined]);
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test.each([
    ['for a minute', 60_000],
    ['for longer than its command is valid', 3_600_000],
    ['for a month', 30 * 24 * 3_600_000],
  ])('reaches a host that was away %s', async (_, milliseconds) => {
    world.cut(host);
    await patch(port(1));
    await patch(network);
    await world.settle();
    expect([(await view())?.networkPending, told()]).toEqual([true, []]);
    pass(milliseconds);
    await world.connect(host);
    await world.settle();
    expect(told()).toMatchObject([{ network: resolveNetworkPolicy(network) }]);
    expect((await view())?.networkPending).toBe(false);
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('whose push was lost is sent at the next heartbeat', async () => {
    api.outside.onPush = async () => 'unreachable';
    await patch(network);
    host.heartbeat();
    await world.settle();
    expect([told().length, (await view())?.networkPending]).toEqual([1, false]);
  });

  test('that the host cannot apply stays pending with the reason, and is sent again at heartbeats', async () => {
    host.failing.add('setNetworkPolicy');
    const { revision } = await patch(network);
    await world.settle(2);
    expect(await view()).toMatchObject({
      state: 'Running',
      networkPending: true,
      lastError: { code: 'step-failed', context: { hostId: host.hostId, networkRevision: revision } },
    });
    host.failing.clear();
    pass(60_000);
    host.heartbeat();
    await world.settle();
    expect(await view()).toMatchObject({ networkPending: false, lastError: null });
  });

  test('is not confirmed by the answer to an older one', async () => {
    host.silentOn.add('setNetworkPolicy');
    const { revision: older } = await patch(port(1));
    await patch(port(2));
    host.silentOn.clear();
    const result = {
      status: 'succeeded' as const,
      commandId: `network:${id}:${older}`,
      steps: [],
      observed: null,
    };
    host.outbox.push({ action: 'result', messageId: 'late', result });
    await world.settle();
    expect((await view())?.networkPending).toBe(true);
    host.inProgress.clear();
    host.heartbeat();
    await world.settle();
    expect((await view())?.networkPending).toBe(false);
  });

  test('that is confirmed during a removal leaves nothing behind', async () => {
    await patch(network);
    await world.begin(id, 'remove', { force: true });
    await world.settle();
    expect(await world.container(id)).toBeUndefined();
    expect(await world.commandsOf(host.hostId)).toEqual([]);
  });

  test('is part of every later start', async () => {
    const { revision } = await patch(network);
    await world.settle();
    await world.begin(id, 'stop');
    await world.settle();
    host.received.length = 0;
    await world.begin(id, 'start');
    await world.settle();
    const started = commandsIn(host.received).flatMap(({ arguments: args }) =>
      args.verb === 'startContainer' ? [args.container.spec] : [],
    );
    expect(started).toMatchObject([{ network: resolveNetworkPolicy(network), networkRevision: revision }]);
  });
});
