import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, jest, test } from '@jest/globals';
import { createSweeper } from '../../../../local/dynamodb/expire-items.ts';
import { silentLog, soon } from '../../../helpers/local-fixtures.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';

// `soon` limits waits.
jest.setTimeout(30_000);

test('the table is swept only when an item has expired, and not before the pause is over', async () => {
  const called: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    called.push(`${request.headers.authorization} ${JSON.parse(body).method}`);
    response.setHeader('mcp-session-id', 's1').end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const clock = new ManualCloudClock();
  let looked = 0;
  let expired = false;
  const hasExpired = () => {
    looked += 1;
    return expired;
  };
  const sweeper = createSweeper({
    clock,
    log: silentLog,
    index: { hasExpired },
    management: () => ({ url, token: 't' }),
  });
  sweeper.start();
  clock.advance(29_999);
  expect(looked).toBe(0);
  clock.advance(1);
  // No item has expired, so the next check is scheduled in a later turn, without a call.
  await soon(() => {
    clock.advance(30_000);
    return looked >= 2 ? true : undefined;
  });
  expect(called).toEqual([]);
  expired = true;
  await soon(() => {
    clock.advance(30_000);
    return called.length >= 3 ? true : undefined;
  });
  expect(called.slice(0, 3)).toEqual([
    'Bearer t initialize',
    'Bearer t notifications/initialized',
    'Bearer t tools/call',
  ]);
  sweeper.stop();
  server.closeAllConnections();
  server.close();
});
