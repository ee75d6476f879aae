import { afterEach, describe, expect, test } from '@jest/globals';
import type { Call, Reply } from '../../client/fake-api.ts';
import { imageOf } from '../../client/records.ts';
import { bridge, closeBridges, page } from './fake-bridge.ts';

afterEach(closeBridges);

describe('images', () => {
  const old = imageOf('mini', { createdAt: '2026-01-01T00:00:00.000Z' });
  const digest = `sha256:${'b'.repeat(64)}`;
  const web = imageOf('repo/web:2', { digest, createdAt: '2026-02-01T00:00:00.000Z' });
  const api = ({ url }: Call): Reply | undefined => {
    const { pathname } = new URL(url);
    if (pathname === '/v1/images') return page([old, web].map(({ config: _, ...image }) => image));
    const found = [old, web].find(({ name }) => decodeURIComponent(pathname) === `/v1/images/${name}`);
    return found && { status: 200, body: found };
  };

  test.each([
    'repo/web:2',
    digest,
    'b'.repeat(64),
    'b'.repeat(12),
    `repo/web@${digest}`,
    `repo/web:2@${digest}`,
  ])('an image is found by %s', async (reference) => {
    const { ask } = await bridge(api);
    const answer = await ask('GET', `/images/${reference}/json`);
    expect([answer.status, JSON.parse(answer.body).RepoTags]).toEqual([200, ['repo/web:2']]);
    expect(JSON.parse(answer.body).Config).toMatchObject({ Cmd: ['sh'], Env: ['A=b'], Entrypoint: null });
  });

  test.each(['c'.repeat(12), `mini@${digest}`, 'nope'])('no image is found by %s', async (reference) => {
    const { ask } = await bridge(api);
    expect((await ask('GET', `/images/${reference}/json`)).status).toBe(404);
  });

  test.each([
    [{ reference: ['mini'] }, ['mini:latest']],
    [{ reference: ['repo/*'] }, ['repo/web:2']],
    [{ before: ['repo/web:2'] }, ['mini:latest']],
    [{ since: ['mini'] }, ['repo/web:2']],
    [{ dangling: ['true'] }, []],
    [{ dangling: ['false'] }, ['repo/web:2', 'mini:latest']],
  ])('the list with %j', async (filters, names) => {
    const { ask } = await bridge(api);
    const answer = await ask('GET', `/images/json?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    expect(JSON.parse(answer.body).flatMap((one: { RepoTags: string[] }) => one.RepoTags)).toEqual(names);
  });

  test('a filter that is not known is refused, and so is an image of another platform', async () => {
    const { ask } = await bridge(api);
    const filters = encodeURIComponent('{"odd":["x"]}');
    expect((await ask('GET', `/images/json?filters=${filters}`)).status).toBe(400);
    const pull = (platform: string) =>
      ask('POST', `/images/create?fromImage=mini&tag=latest&platform=${platform}`);
    expect([(await pull('linux/arm64')).status, (await pull('linux/amd64')).status]).toEqual([404, 200]);
  });

  test('a pull reports progress with the ids of the tag and of the layer', async () => {
    const { ask } = await bridge(api);
    const { body } = await ask('POST', '/images/create?fromImage=repo/web&tag=2');
    const lines = body
      .trim()
      .split('\r\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ id }) => id)).toEqual(['2', 'b'.repeat(12), undefined, undefined]);
    expect(lines.at(-1).status).toBe('Status: Image is up to date for repo/web:2');
  });
});
