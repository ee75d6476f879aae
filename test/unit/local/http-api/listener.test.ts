import { afterEach, describe, expect, test } from '@jest/globals';
import { Listener, PortTakenError } from '../../../../local/api-gateway/listener.ts';

describe('a port', () => {
  const open: Listener[] = [];
  const listen = async (port: number): Promise<Listener> => {
    const listener = new Listener('127.0.0.1', []);
    await listener.listen(port);
    open.push(listener);
    return listener;
  };
  afterEach(() => Promise.all(open.splice(0).map((listener) => listener.close())));

  test('that is in use is refused with its number, its owner and a suggestion', async () => {
    const port = Number((await listen(0)).domainName.split(':')[1]);
    const error = await listen(port).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PortTakenError);
    expect((error as Error).message).toContain(`Port ${port} is in use by `);
    expect((error as Error).message).toContain(`npm start -- --port ${port + 1}`);
    if (process.platform === 'linux') expect((error as Error).message).toContain(`(pid ${process.pid})`);
  });

  test('responds with 503 until the cloud is ready', async () => {
    const { domainName } = await listen(0);
    const response = await fetch(`http://${domainName}/`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
  });
});
