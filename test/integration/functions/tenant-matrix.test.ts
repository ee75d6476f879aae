import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROUTES, type Route } from '../../../core/contract/http/routes.ts';
import { containerItem } from '../../../store/containers.ts';
import { hostItem } from '../../../store/hosts.ts';
import { imageItem, imageOnHostItem } from '../../../store/images.ts';
import { createItem } from '../../../store/item-format.ts';
import { keys } from '../../../store/keys.ts';
import { operationItem } from '../../../store/operations.ts';
import { createSession } from '../../../store/sessions.ts';
import { type Api, createApi } from '../../helpers/api.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import type { Call } from '../../helpers/http-function.ts';
import {
  containerRecord,
  hostRecord,
  imageRecord,
  operationRecord,
  TENANT,
  testId,
} from '../../helpers/records.ts';
import { testSeal } from '../../helpers/signing.ts';

/**
 * Each route × {own, another tenant's, none}: for another tenant's resource the response is the same, byte for byte, as
 * for a missing one.
 */
let engine: Engine;
let api: Api;
beforeAll(async () => {
  engine = await startEngine();
  const { table } = await engine.table();
  api = createApi(table);
  const container = containerRecord('Running', { view: { labels: { a: 'b' } } });
  const image = imageRecord('mini');
  const facts = {
    kind: 'session',
    containerId: container.id,
    command: null,
    user: null,
    tty: false,
  } as const;
  const session = { tenant: TENANT, id: testId(60), actor: 'user-1', facts, hostId: testId(900) };
  await createSession(table, { ...session, totalSeconds: 60 }, new Date(), { ...testSeal, randomBytes });
  await Promise.all(
    [
      containerItem(container),
      operationItem(operationRecord(50)),
      hostItem(hostRecord(900)),
      imageItem(image),
      imageOnHostItem(TENANT, image.view, testId(900)),
      createItem('containerName', keys.containerName(TENANT, container.view.name), {
        containerId: container.id,
      }),
    ].map((Item) => table.put({ Item })),
  );
});
afterAll(() => engine.stop());
beforeAll(async () => {
  const made = await api.call(MAKES, { params: { name: 'isolate' }, body: RULE });
  expect(made.status).toBe(201);
});

const OTHER = { tenant: 'umbrella' };

/** Ids and names of existing and of missing resources, in the forms that a path can have. */
const IDS: Readonly<Record<string, readonly [there: string, missing: string][]>> = {
  containers: [
    [testId(1), testId(77)],
    [testId(1).toUpperCase(), testId(77).toUpperCase()],
    ['container-1', 'container-x'],
  ],
  'compute-processes': [[testId(1).toUpperCase(), testId(77).toUpperCase()]],
  operations: [[testId(50), testId(77)]],
  hosts: [[testId(900), testId(77)]],
  images: [['mini', 'maxi']],
  'conversion-rules': [['isolate', 'nothing']],
};

/** This route creates a resource with the given name, so no name is missing. */
const MAKES = 'putConversionRule';
const RULE = { eventPattern: { source: ['scanner'] }, select: { name: 'x' }, runtimeType: 'HyperV' };
const EVENT = { source: 'scanner', 'detail-type': 'Finding', detail: {} };

const withParameter = ROUTES.filter(
  ({ parameters, operationId }) => parameters !== undefined && operationId !== MAKES,
);
const kindOf = ({ path }: Route): string => path.split('/')[2] ?? '';
const cases = withParameter.flatMap((route) =>
  (IDS[kindOf(route)] ?? []).map(([there, missing]) => [route.operationId, there, missing, route] as const),
);

/** Bodies of routes that require members in the body. */
const BODIES: Readonly<Record<string, object>> = {
  execInContainer: { command: ['true'] },
  testConversionRule: { event: EVENT },
};

const given = (route: Route, value: string, more: Call = {}): Call => ({
  params: {
    [Object.keys(route.parameters?.shape ?? {})[0] ?? '']: value,
    ...('sessionId' in (route.parameters?.shape ?? {}) && { sessionId: testId(60) }),
  },
  ...(route.body === undefined ? {} : { body: BODIES[route.operationId] ?? {} }),
  ...more,
});

test('every route with a parameter is in the matrix', () => {
  expect(new Set(cases.map(([operationId]) => operationId)).size).toBe(withParameter.length);
});

describe.each(cases)('%s %s', (operationId, there, missing, route) => {
  test('responds to another tenant as for a missing resource', async () => {
    const calls = [
      {},
      ...(route.mutation === undefined
        ? []
        : [
            { query: 'dryRun=true' },
            ...(route.mutation.ifMatch ? [{ headers: { 'if-match': '"1"' } }] : []),
          ]),
    ];
    for (const more of calls) {
      const others = await api.call(operationId, given(route, there, { ...more, claims: OTHER }));
      const none = await api.call(operationId, given(route, missing, { ...more, claims: OTHER }));
      const ownNone = await api.call(operationId, given(route, missing, more));
      expect([others.status, others.body.code]).toEqual([404, 'not-found']);
      expect([others.text, others.headers]).toEqual([none.text, none.headers]);
      expect([others.text, others.headers]).toEqual([ownNone.text, ownNone.headers]);
    }
  });

  test('finds the tenant’s own resource', async () => {
    const more = route.mutation === undefined ? {} : { query: 'dryRun=true' };
    const own = await api.call(operationId, given(route, there, more));
    expect([operationId, own.status === 404]).toEqual([operationId, false]);
  });

  test('responds to an invalid name or id as to a missing one', async () => {
    const cannot = await api.call(operationId, given(route, '../x y'));
    const none = await api.call(operationId, given(route, missing));
    expect(cannot.text).toBe(none.text);
  });
});

describe('lists', () => {
  const lists = [
    'listContainers',
    'listComputeProcesses',
    'listHosts',
    'listImages',
    'listOperations',
    'listConversionRules',
  ];

  test.each(lists)('%s shows the tenant’s own resources, and none to another tenant', async (operationId) => {
    expect((await api.call(operationId)).body.items).toHaveLength(1);
    expect((await api.call(operationId, { claims: OTHER })).body).toEqual({ items: [], nextCursor: null });
  });

  test('filters by another tenant’s ids find nothing', async () => {
    for (const query of [
      `hostId=${testId(900)}`,
      'name=container-1',
      'image=mini',
      'label=a=b',
      'state=Running',
    ])
      expect((await api.call('listContainers', { query, claims: OTHER })).body.items).toEqual([]);
    const ofOthers = await api.call('listOperations', { query: `containerId=${testId(1)}`, claims: OTHER });
    expect(ofOthers.body.items).toEqual([]);
  });

  test('an image or a host of another tenant cannot be used', async () => {
    const image = await api.call('createContainer', { body: { image: 'mini' }, claims: OTHER });
    const none = await api.call('createContainer', { body: { image: 'mini' }, claims: { tenant: 'third' } });
    expect([image.body.code, image.text]).toEqual(['image-not-found', none.text]);
    const body = { name: 'mini', hostId: testId(900), source: { path: '/srv/x' } };
    expect((await api.call('importImage', { body, claims: OTHER })).body.code).toBe('host-not-found');
  });
});

test('rules of two tenants with the same name are separate, including on the bus', async () => {
  const params = { name: 'isolate' };
  const third = { tenant: 'third' };
  const theirs = await api.call(MAKES, { params, body: { ...RULE, description: 'theirs' }, claims: third });
  expect([theirs.status, theirs.body.revision]).toEqual([201, 1]);
  const ours = (await api.call('getConversionRule', { params })).body;
  expect(ours).toMatchObject({ description: '', revision: 1 });
  expect(ours.eventRuleName).not.toBe(theirs.body.eventRuleName);
  await api.call('deleteConversionRule', { params, claims: third });
  expect((await api.call('getConversionRule', { params })).body).toEqual(ours);
  expect([...api.outside.eventRules.keys()]).toEqual([ours.eventRuleName]);
});

test('each route requires exactly its own scope', async () => {
  const { SCOPES } = await import('../../../core/contract/http/routes.ts');
  for (const route of ROUTES.filter(({ scope }) => scope !== null))
    for (const scope of SCOPES) {
      const params = Object.fromEntries(
        Object.keys(route.parameters?.shape ?? {}).map((name) => [name, testId(77)]),
      );
      const answer = await api.call(route.operationId, { params, query: 'nope=1', claims: { scope } });
      expect([route.operationId, scope, answer.status === 403]).toEqual([
        route.operationId,
        scope,
        scope !== route.scope,
      ]);
    }
});
