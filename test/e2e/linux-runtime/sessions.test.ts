import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { SessionStream } from '../../../core/client/session-connection.ts';
import { canHostLinux } from '../../helpers/linux-host.ts';
import {
  eventually,
  type LocalCloud,
  startLocalCloud,
  waitForHosts,
  waitForOperation,
} from '../../helpers/local-cloud.ts';
import { scaled } from '../../helpers/scaled.ts';
import { collect, cuttable, joinSession } from '../../helpers/session-client.ts';

/**
 * Sessions through the whole local cloud with this machine as a real host. Messages are duplicated and reordered on purpose.
 */
jest.setTimeout(400_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const MEGABYTES = scaled({ ci: 20, whole: 50 });
const PIECE = 65_536;
const SESSIONS = 100;

real('sessions on a real host', () => {
  let cloud: LocalCloud;
  const ids: Record<string, string> = {};
  beforeAll(async () => {
    cloud = await startLocalCloud({
      environment: { BULKHEAD_CHAOS: 'duplicate=0.1,reorder=0.2,seed=3' },
      arguments: ['--warm-vms', '0'],
    });
    await waitForHosts(cloud, 1);
    for (const runtimeType of ['Default', 'HyperV']) {
      const body = {
        image: 'mini',
        runtimeType,
        command: ['sleep', '100000'],
        start: true,
        resources: { memoryMB: 512, cpus: 1 },
      };
      const { body: accepted } = await cloud.call('POST', '/v1/containers', { body });
      expect(await waitForOperation(cloud, accepted.operation.id, 120)).toMatchObject({ state: 'Succeeded' });
      ids[runtimeType] = accepted.container.id;
    }
  });
  afterAll(async () => {
    for (const id of Object.values(ids)) {
      const { body } = await cloud.call('DELETE', `/v1/containers/${id}?force=true`);
      await waitForOperation(cloud, body.operation.id);
    }
    await cloud?.stop();
  });

  const send = async (session: SessionStream, data: Buffer): Promise<void> => {
    for (let from = 0; from < data.length; from += PIECE)
      await session.write(data.subarray(from, from + PIECE));
    session.endInput();
  };
  const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');

  test.each(['Default', 'HyperV'])(
    `transfer ${MEGABYTES} MB in each direction unchanged over ten disconnects: %s`,
    async (runtimeType) => {
      const network = cuttable();
      const session = await joinSession(
        cloud,
        ids[runtimeType] ?? '',
        { command: ['cat'] },
        network.webSocketFactory,
      );
      const output = collect(session);
      const sent = randomBytes(MEGABYTES * 1024 * 1024);
      const sending = send(session, sent);
      for (let cut = 1; cut <= 10; cut += 1) {
        const wanted = (cut * sent.length) / 12;
        await eventually(async () => (output.bytes() > wanted ? true : undefined), 120);
        const before = network.opened();
        network.cut();
        await eventually(async () => (network.opened() > before ? true : undefined), 30);
      }
      await sending;
      expect(await session.exit).toEqual({ exitCode: 0, reason: 'exited' });
      expect([output.bytes(), output.digest()]).toEqual([sent.length, sha256(sent)]);
      expect(network.opened()).toBeGreaterThanOrEqual(11);
    },
  );

  test('a slow reader blocks only its own session', async () => {
    const id = ids.HyperV ?? '';
    const slow = await joinSession(cloud, id, { command: ['yes'] });
    slow.onOutput(() => undefined);
    slow.pause();
    const quick = await joinSession(cloud, id, { command: ['cat'] });
    const output = collect(quick);
    const sent = randomBytes(2 * 1024 * 1024);
    await send(quick, sent);
    expect(await quick.exit).toMatchObject({ exitCode: 0 });
    expect(output.digest()).toBe(sha256(sent));
    slow.close();
    expect(await slow.exit).toMatchObject({ reason: 'closed' });
  });

  const agentMegabytes = (): number => {
    const children = readFileSync(`/proc/${cloud.pid}/task/${cloud.pid}/children`, 'utf8').trim().split(' ');
    const sizes = children.map((pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const isAgent = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent/main.ts');
      return isAgent ? Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024 : 0;
    });
    return Math.max(...sizes);
  };

  test(`${SESSIONS} parallel sessions get only their own data, and the agent’s memory is bounded`, async () => {
    const id = ids.Default ?? '';
    const before = agentMegabytes();
    expect(before).toBeGreaterThan(10);
    const sessions: { session: SessionStream; output: ReturnType<typeof collect>; own: string }[] = [];
    for (let from = 0; from < SESSIONS; from += 10)
      sessions.push(
        ...(await Promise.all(
          Array.from({ length: 10 }, async (_, at) => {
            const session = await joinSession(cloud, id, { command: ['cat'] });
            return { session, output: collect(session), own: `<${from + at}>`.repeat(4_000) };
          }),
        )),
      );
    await Promise.all(sessions.map(({ session, own }) => session.write(Buffer.from(own))));
    await eventually(
      async () => (sessions.every(({ output, own }) => output.bytes() >= own.length) ? true : undefined),
      120,
    );
    const grown = agentMegabytes() - before;
    for (const { session } of sessions) session.endInput();
    for (const { session, output, own } of sessions) {
      expect(await session.exit).toEqual({ exitCode: 0, reason: 'exited' });
      expect(output.text()).toBe(own);
    }
    // Two windows per session would need 50 MB.
    expect(grown).toBeLessThan(150);
  });

  test.each(['Default', 'HyperV'])(
    '%s reports its own kernel, and logs outlive the VM',
    async (runtimeType) => {
      const { body } = await cloud.call('GET', `/v1/containers/${ids[runtimeType]}/isolation`);
      expect(body.simulated).toBeUndefined();
      expect(body.sharedKernel).toBe(runtimeType === 'Default');
      const created = await cloud.call('POST', '/v1/containers', {
        body: {
          image: 'mini',
          runtimeType,
          command: ['sh', '-c', 'echo last words; sleep 1000'],
          start: true,
        },
      });
      await waitForOperation(cloud, created.body.operation.id, 120);
      const { id } = created.body.container;
      const logs = () => cloud.call('GET', `/v1/containers/${id}/logs`);
      await eventually(async () => ((await logs()).body.items.length === 1 ? true : undefined));
      const { body: report } = await cloud.call('GET', `/v1/containers/${id}/isolation`);
      if (report.workerProcess !== null) process.kill(report.workerProcess.pid, 'SIGKILL');
      else await cloud.call('POST', `/v1/containers/${id}/kill`);
      await eventually(async () => {
        const { body: seen } = await cloud.call('GET', `/v1/containers/${id}`);
        return seen.state === 'Off' ? true : undefined;
      });
      expect((await logs()).body.items).toMatchObject([{ text: 'last words' }]);
      const gone = await cloud.call('DELETE', `/v1/containers/${id}`);
      await waitForOperation(cloud, gone.body.operation.id);
    },
  );
});
if (!possible) test.todo('sessions on a real host: cannot run on this machine');
