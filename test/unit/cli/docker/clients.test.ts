import { afterEach, describe, expect, test } from '@jest/globals';
import { problem } from '../../client/fake-api.ts';
import { containerOf, hostOf, ID, operationOf } from '../../client/records.ts';
import { bridge, closeBridges, page } from './fake-bridge.ts';

afterEach(closeBridges);

describe('requests of other clients', () => {
  test('a network is found by its name, and the default one by docker’s names', async () => {
    const { ask } = await bridge(({ url }) =>
      url.includes('/v1/hosts') ? page([hostOf({ switches: ['NAT', 'Private'] })]) : undefined,
    );
    const name = async (reference: string) =>
      JSON.parse((await ask('GET', `/networks/${reference}`)).body).Name;
    expect([await name('nat'), await name('bridge'), await name('Private')]).toEqual([
      'NAT',
      'NAT',
      'Private',
    ]);
    expect((await ask('GET', '/networks/other')).status).toBe(404);
    const filtered = await ask('GET', `/networks?filters=${encodeURIComponent('{"name":["priv"]}')}`);
    expect(JSON.parse(filtered.body)).toMatchObject([{ Name: 'Private' }]);
  });

  test('options of client libraries in a body have no effect', async () => {
    const { ask } = await bridge(({ method }) =>
      method === 'POST'
        ? { status: 202, body: { container: containerOf(), operation: operationOf() } }
        : undefined,
    );
    const body = { Image: 'mini', name: 'x', platform: 'linux/amd64', _query: undefined };
    expect((await ask('POST', '/containers/create?name=x', body)).status).toBe(201);
  });

  test('prune skips a container that was started after the list was read', async () => {
    const { ask } = await bridge(({ method, url }) => {
      if (method === 'DELETE') return problem(409, 'invalid-state');
      return url.includes('/v1/containers?') ? page([containerOf({ exitCode: 0 })]) : undefined;
    });
    const { status, body } = await ask('POST', '/containers/prune');
    expect([status, JSON.parse(body).ContainersDeleted]).toEqual([200, []]);
  });

  test('prune removes stopped containers only', async () => {
    const [off, running] = [
      containerOf({ exitCode: 0 }),
      containerOf({ id: ID.replace('0120', '0121'), state: 'Running' }),
    ];
    const { ask, calls } = await bridge(({ method, url }) => {
      if (method === 'DELETE') return { status: 202, body: { container: off, operation: operationOf() } };
      return url.includes('/v1/containers?') ? page([off, running]) : undefined;
    });
    const { body } = await ask('POST', '/containers/prune');
    expect(JSON.parse(body).ContainersDeleted).toEqual([ID.replaceAll('-', '')]);
    expect(calls.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
    const filters = encodeURIComponent('{"odd":["x"]}');
    expect((await ask('POST', `/containers/prune?filters=${filters}`)).status).toBe(400);
  });
});
