import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OtherTableFormatError } from '../../../core/domain/errors.ts';
import { listNextKeys, putNextKey } from '../../../store/command-keys.ts';
import { addCommand, findCommand } from '../../../store/commands.ts';
import { containerItem, createContainer, findContainerId, getContainer } from '../../../store/containers.ts';
import { countRules, getRule, putRule } from '../../../store/conversion-rules.ts';
import { createCursors } from '../../../store/cursor.ts';
import { readDowntimes, rememberDowntime } from '../../../store/downtimes.ts';
import { newEnrollmentToken, readEnrollmentToken } from '../../../store/enrollment.ts';
import { listEvents } from '../../../store/event-list.ts';
import { createEventLog, entryKey, parseEntry } from '../../../store/event-log.ts';
import { getLink, noteOnLink, takeLink } from '../../../store/host-links.ts';
import { addHost, getHost, hostItem } from '../../../store/hosts.ts';
import { findAnswer, keepAnswer } from '../../../store/idempotency.ts';
import { getImage, imageItem, imageOnHostItem, listHolders } from '../../../store/images.ts';
import type { Item } from '../../../store/item.ts';
import { type Entity, UnreadableItemError } from '../../../store/item-format.ts';
import { type Key, keys } from '../../../store/keys.ts';
import { getOperation, operationItem } from '../../../store/operations.ts';
import { parseRefusedCommand, recordRefusedCommand } from '../../../store/refused-commands.ts';
import { beginRun, coolDown, endRun, isCooling, listRuns, noteSelection } from '../../../store/rule-runs.ts';
import {
  connectSession,
  createSession,
  endSession,
  getSession,
  parseToken,
  renewToken,
} from '../../../store/sessions.ts';
import type { Table } from '../../../store/table.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';
import { containerRecord, hostRecord, imageRecord, operationRecord, testId } from '../../helpers/records.ts';

/**
 * Items in version 3 of the table's format, one file per entity, with every member that an item can have. Never change
 * them: a version that cannot read them, or writes different ones, must have a new version of the format.
 */
const FIXTURES = fileURLToPath(new URL('../../fixtures/table/v3/', import.meta.url));

const TENANT = 'acme';
const NOW = new Date('2026-11-24T09:00:00.000Z');
const HOST = testId(900);
const CONTAINER = testId(1);
const OPERATION = testId(100);
const RULE = testId(300);
const SESSION = testId(400);
const DIGEST = `sha256:${'0'.repeat(64)}`;

const bytes = (count: number): Buffer => Buffer.alloc(count, 7);
const SEAL = { seal: async () => 's'.repeat(43), isSealed: async () => true, randomBytes: bytes };
const SCOPE = { tenant: TENANT, subject: 'ann', method: 'POST', path: '/v1/containers', key: 'key-1' };
const PAGE = { limit: 10, cursor: undefined };
const CURSORS = { sign: async () => '', verify: async () => ({ after: null, part: 0 }) };
const ANNOUNCEMENT = { payload: '{"publicKey":"x"}', signature: 'signature', keyId: 'key-0' };
const RUN = { tenant: TENANT, ruleId: RULE, at: '2026-11-24T09:00:00Z#event-1' };
const CONNECTION = { tenant: TENANT, hostId: HOST, connectionId: 'connection-1' };
const TOKEN = newEnrollmentToken(TENANT, { rack: 'a' }, NOW, bytes);
/** The number of the first entry of a log that begins at {@link NOW}. */
const FIRST_ENTRY = 1_795_000_000_000;
const ID_OF_COMMAND = `${OPERATION}:Start:1`;
const REFUSED = {
  tenant: TENANT,
  hostId: HOST,
  commandId: 'forged',
  reason: 'unknown-key',
  at: NOW.toISOString(),
} as const;

const there = <T>(found: T | undefined): T => {
  if (found === undefined) throw new TypeError('not in the table');
  return found;
};

/** Creates a session, connects to it, renews its token and ends it. */
const holdSession = async (table: Table): Promise<void> => {
  const facts = {
    kind: 'session' as const,
    containerId: CONTAINER,
    command: ['sh'],
    user: 'web',
    tty: true,
  };
  const session = { tenant: TENANT, id: SESSION, actor: 'ann', facts, hostId: HOST, totalSeconds: 3600 };
  const { token } = await createSession(table, session, NOW, SEAL);
  const { hash: tokenHash } = there(await parseToken(token, SEAL));
  const connection = { tenant: TENANT, sessionId: SESSION, connectionId: 'connection-2' };
  await connectSession(table, { ...connection, tokenHash });
  await renewToken(table, connection, SEAL);
  const end = { reason: 'exited', exitCode: 3, actor: 'bob' };
  await endSession(table, { tenant: TENANT, id: SESSION, hostId: HOST }, end, NOW);
};

const runRule = async (table: Table): Promise<void> => {
  const start = { ...RUN, eventId: 'event-1', execution: 'execution-1', startedAt: NOW.toISOString() };
  await beginRun(table, start);
  await noteSelection(table, RUN, { matched: 1, truncated: true, reason: 'more match' });
  const container = { containerId: CONTAINER, name: 'web', outcome: 'converted' as const };
  const ended = [{ ...container, operationId: OPERATION, why: 'dry-run' }];
  await endRun(table, RUN, ended, NOW.toISOString());
};

interface Case {
  readonly read: (table: Table) => Promise<unknown>;
  /** Writes the content of `from` to `to`. */
  readonly write: (to: Table, from: Table) => Promise<void>;
}

const CASES: Readonly<Record<Entity, Case>> = {
  container: {
    read: (table) => getContainer(table, TENANT, CONTAINER),
    write: async (to, from) =>
      to.put({ Item: containerItem(there(await getContainer(from, TENANT, CONTAINER))) }),
  },
  containerName: {
    read: (table) => findContainerId(table, TENANT, 'container-1'),
    write: (to) => {
      const [container, operation] = [containerRecord('Off'), operationRecord(100)];
      const given = { container, operation, remember: [], token: randomUUID() };
      return createContainer(to, given).then(() => undefined);
    },
  },
  operation: {
    read: (table) => getOperation(table, TENANT, OPERATION),
    write: async (to, from) =>
      to.put({ Item: operationItem(there(await getOperation(from, TENANT, OPERATION))) }),
  },
  host: {
    read: (table) => getHost(table, TENANT, HOST),
    write: async (to, from) => to.put({ Item: hostItem(there(await getHost(from, TENANT, HOST))) }),
  },
  hostLink: {
    read: (table) => getLink(table, TENANT, HOST),
    write: async (to) => {
      await to.transact(addHost(hostRecord(900)));
      await takeLink(to, CONNECTION, NOW.getTime(), NOW);
      await noteOnLink(to, CONNECTION, { silent: true, recheck: true, orphans: { [CONTAINER]: 1 } });
    },
  },
  downtimes: {
    read: (table) => readDowntimes(table, TENANT, HOST, 'HyperV'),
    write: (to) => {
      const conversion = { from: 'Default', to: 'HyperV', downtimeMs: 120.5 } as const;
      return rememberDowntime(to, operationRecord(1, { kind: 'convert', conversion }));
    },
  },
  command: {
    read: (table) => findCommand(table, TENANT, HOST, ID_OF_COMMAND),
    write: async (to, from) =>
      to.transact([addCommand(there(await findCommand(from, TENANT, HOST, ID_OF_COMMAND)))]),
  },
  image: {
    read: (table) => getImage(table, TENANT, 'NanoServer'),
    write: (to) => to.put({ Item: imageItem(imageRecord('NanoServer')) }),
  },
  imageOnHost: {
    read: (table) => listHolders(table, TENANT, 'NanoServer'),
    write: (to) => to.put({ Item: imageOnHostItem(TENANT, { name: 'NanoServer', digest: DIGEST }, HOST) }),
  },
  enrollmentToken: {
    read: (table) => readEnrollmentToken(table, TOKEN.token, NOW),
    write: (to) => to.transact([TOKEN.write]),
  },
  idempotency: {
    read: (table) => findAnswer(table, SCOPE, NOW),
    write: async (to, from) =>
      to.transact([keepAnswer(SCOPE, there(await findAnswer(from, SCOPE, NOW)), NOW, bytes(12))]),
  },
  session: {
    read: (table) => getSession(table, TENANT, SESSION),
    write: holdSession,
  },
  event: {
    read: async (table) => (await listEvents(table, CURSORS, TENANT, PAGE, NOW)).items,
    write: async (to, from) => {
      const { contents } = parseEntry(there(await from.get(entryKey(TENANT, FIRST_ENTRY))));
      const events = contents.map(([sequence, event]) => ({ sequence, at: NOW.getTime(), event }));
      await createEventLog(to, () => NOW).append(TENANT, events);
    },
  },
  conversionRule: {
    read: (table) => getRule(table, TENANT, 'isolate'),
    write: async (to, from) => {
      const rule = there(await getRule(from, TENANT, 'isolate'));
      await putRule(to, undefined, rule, { remember: [], token: randomUUID(), most: 5 });
    },
  },
  ruleCount: {
    read: (table) => countRules(table, TENANT),
    write: async (to) => {
      const fixture = await tableWith('conversionRule');
      const rule = there(await getRule(fixture, TENANT, 'isolate'));
      await putRule(to, undefined, rule, { remember: [], token: randomUUID(), most: 5 });
    },
  },
  ruleRun: {
    read: async (table) => (await listRuns(table, CURSORS, RUN, PAGE, NOW)).items,
    write: runRule,
  },
  ruleCooldown: {
    read: (table) => isCooling(table, { tenant: TENANT, ruleId: RULE }, CONTAINER, NOW),
    write: (to) =>
      to.transact([coolDown({ tenant: TENANT, ruleId: RULE }, CONTAINER, NOW.getTime() + 60_000)]),
  },
  cursorKey: {
    read: (table) =>
      createCursors(table, () => bytes(1)).sign(
        { tenant: TENANT, list: 'containers', filters: {} },
        { after: { pk: 'a' }, part: 0 },
      ),
    write: async (to) => {
      await createCursors(to, bytes).sign(
        { tenant: TENANT, list: 'containers', filters: {} },
        { after: null, part: 0 },
      );
    },
  },
  refusedCommand: {
    read: async (table) => {
      const { items } = await table.query({ key: keys.refusedCommand(TENANT, HOST, ''), sort: 'any' });
      return items.map(parseRefusedCommand);
    },
    write: async (to) => void (await recordRefusedCommand(to, REFUSED)),
  },
  commandKey: {
    read: (table) => listNextKeys(table),
    write: (to) => putNextKey(to, ANNOUNCEMENT),
  },
};

/** Converts an item from its file, in which bytes are in base64. */
const revive = (_name: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'B' in value && typeof value.B === 'string'
    ? { B: new Uint8Array(Buffer.from(value.B, 'base64')) }
    : value;
const fixtureOf = (entity: string): Item =>
  JSON.parse(readFileSync(`${FIXTURES}${entity}.json`, 'utf8'), revive) as Item;

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const tableOf = async (item: Item): Promise<Table> => {
  const { table } = await engine.table();
  await table.put({ Item: item });
  return table;
};
const tableWith = (entity: string): Promise<Table> => tableOf(fixtureOf(entity));

const ENTITIES = Object.entries(CASES);

test('every entity has a fixture', () => {
  expect(readdirSync(FIXTURES).sort()).toEqual(ENTITIES.map(([entity]) => `${entity}.json`).sort());
});

const keyIn = ({ pk, sk }: Item): Key => ({ pk: pk?.S ?? '', sk: sk?.S ?? '' });

describe.each(ENTITIES)('%s', (entity, { read, write }) => {
  test('an item of version 3 is read, and written unchanged', async () => {
    const fixture = fixtureOf(entity);
    const [from, { table: to }] = [await tableWith(entity), await engine.table()];
    await write(to, from);
    const written = there(await to.get(keyIn(fixture), { consistent: true }));
    // Another version of zlib may compress differently.
    const comparable = (item: Item) =>
      JSON.parse(JSON.stringify(item), (_name, value) =>
        typeof value === 'object' && value !== null && 'B' in value ? {} : value,
      );
    expect(comparable(written)).toEqual(comparable(fixture));
    expect(await read(to)).toEqual(await read(from));
  });

  test.each([undefined, { N: '0' }, { N: '2' }, { N: '4' }, { S: '3' }])(
    'an item of version %j is refused',
    async (v) => {
      const { v: _, ...rest } = fixtureOf(entity);
      const table = await tableOf(v === undefined ? rest : { ...rest, v });
      const error = await read(table).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OtherTableFormatError);
      expect(error).toMatchObject({
        code: 'internal',
        message: expect.stringContaining('was written by another version of Bulkhead'),
      });
    },
  );

  test('an item with a wrong structure is refused with entity, key and member, but without values', async () => {
    const whole = fixtureOf(entity);
    const secret = 'hunter2';
    const wrong: AttributeValue = { L: [{ M: { secret: { S: secret } } }] };
    const members = Object.keys(whole).filter(
      (name) => !/^(pk|sk|v|entity|gsi\dpk|gsi\dsk)$/.test(name) && name !== 'ttl',
    );
    for (const member of members) {
      const table = await tableOf({ ...whole, [member]: wrong });
      const error = await read(table).catch((thrown: unknown) => thrown);
      // For some members a list is valid.
      if (!(error instanceof UnreadableItemError)) {
        expect(['command', 'revision']).toContain(member);
        continue;
      }
      expect(error).toMatchObject({ code: 'internal', entity, key: `${whole.pk?.S} / ${whole.sk?.S}` });
      expect(error.members.every((path) => path.split('.')[0] === member)).toBe(true);
      expect(error.message).not.toContain(secret);
    }
  });
});
