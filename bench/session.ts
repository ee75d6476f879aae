/**
 * `npm run bench:session`: measures the latency that a session adds, and its throughput. The latency is from a keystroke to
 * its echo on a terminal, interleaved through the embedded cloud and on the bare process in the guest. Needs root on
 * Linux; writes `docs/benchmarks-session.md`. `BENCH_ROUNDS` is the number of keystrokes. Default: 200.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RuntimeType } from '../core/contract/primitives.ts';
import { container } from '../test/helpers/assigned-container.ts';
import { bring, canHostLinux, openTestHost, removeAllContainers } from '../test/helpers/linux-host.ts';
import { startLocalCloud, waitForHosts, waitForOperation } from '../test/helpers/local-cloud.ts';
import { joinSession } from '../test/helpers/session-client.ts';
import { interleaved, median, quantile, type Series, timed } from './measure.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 200);
const BAR_MS = 15;
const MEGABYTES = 50;
const PIECE = 64 * 1024;
/** People do not type faster, so each key is acknowledged before the next one. */
const BETWEEN_KEYS_MS = 20;
const TYPES = ['Default', 'HyperV'] as const;
const report = (line: string) => process.stderr.write(`${line}\n`);

/** A terminal that echoes each key. */
interface Terminal {
  press(): Promise<unknown>;
}

const terminal = (write: (key: Buffer) => unknown) => {
  let echoed: (() => void) | null = null;
  return {
    onEcho: () => echoed?.(),
    press: () =>
      new Promise<void>((resolve) => {
        echoed = resolve;
        write(Buffer.from('x'));
      }),
  };
};

const CAT = { command: ['cat'], tty: true, columns: 80, rows: 24 };

const openBareKeys = async (runtime: Awaited<ReturnType<typeof openTestHost>>, runtimeType: RuntimeType) => {
  const one = container({ runtimeType, switchName: 'none', command: ['sleep', '100000'] });
  await bring(runtime, one.id, one, 'Running');
  const process = await runtime.startExec(one.id, CAT);
  const keys = terminal((key) => process.write(key));
  process.onInputTaken(() => undefined);
  process.onOutput((_stream, data) => {
    process.consumed(data.length);
    keys.onEcho();
  });
  return keys;
};

type Cloud = Awaited<ReturnType<typeof startLocalCloud>>;
const startContainer = async (cloud: Cloud, runtimeType: RuntimeType): Promise<string> => {
  const body = { image: 'mini', runtimeType, command: ['sleep', '100000'], start: true };
  const { body: accepted } = await cloud.call('POST', '/v1/containers', { body });
  await waitForOperation(cloud, accepted.operation.id, 120);
  return accepted.container.id;
};

const openSessionKeys = async (cloud: Cloud, id: string) => {
  const session = await joinSession(cloud, id, CAT);
  const keys = terminal((key) => void session.write(key));
  session.onOutput(() => keys.onEcho());
  return keys;
};

/** Megabytes per second, in both directions at the same time. */
const throughput = async (cloud: Cloud, id: string): Promise<number> => {
  const session = await joinSession(cloud, id, { command: ['cat'] });
  session.onOutput(() => undefined);
  const ms = await timed(async () => {
    for (let sent = 0; sent < MEGABYTES * 1024 * 1024; sent += PIECE)
      await session.write(Buffer.alloc(PIECE));
    session.endInput();
    await session.exit;
  });
  return (MEGABYTES * 1_000) / ms;
};

const row = (type: RuntimeType, bare: Series, through: Series): string => {
  const added = median(through.values) - median(bare.values);
  const figures = [median(bare.values), median(through.values), quantile(through.values, 0.95), added].map(
    (value) => value.toFixed(1),
  );
  return `| ${type} | ${figures.join(' | ')} | ${added <= BAR_MS ? 'met' : 'missed'} |`;
};

const measure = async (cloud: Cloud): Promise<string[]> => {
  const runtime = await openTestHost(join(ROOT, '.bulkhead', 'bench-host', 'session'));
  const ids = new Map<RuntimeType, string>();
  try {
    const terminals: [string, Terminal][] = [];
    for (const type of TYPES) {
      const id = await startContainer(cloud, type);
      ids.set(type, id);
      terminals.push([`${type} bare`, await openBareKeys(runtime, type)]);
      terminals.push([`${type} through`, await openSessionKeys(cloud, id)]);
    }
    report(`measuring ${ROUNDS} keys …`);
    const series = await interleaved(
      terminals.map(([name, keys]) => [
        name,
        async () => {
          await sleep(BETWEEN_KEYS_MS);
          return timed(() => keys.press());
        },
      ]),
      ROUNDS,
    );
    const of = (name: string) => series.find((one) => one.name === name) ?? { name, values: [] };
    const rows = TYPES.map((type) => row(type, of(`${type} bare`), of(`${type} through`)));
    report(`sending ${MEGABYTES} MB …`);
    const speeds: string[] = [];
    for (const type of TYPES)
      speeds.push(`| ${type} | ${(await throughput(cloud, ids.get(type) ?? '')).toFixed(1)} MB/s |`);
    return [
      '| Keystroke to echo, ms | bare process, p50 | session, p50 | session, p95 | added, p50 | bar: ≤ 15 |',
      '|---|---|---|---|---|---|',
      ...rows,
      '',
      `| ${MEGABYTES} MB each way through a session | |`,
      '|---|---|',
      ...speeds,
    ];
  } finally {
    for (const id of ids.values()) {
      const { body } = await cloud.call('DELETE', `/v1/containers/${id}?force=true`);
      await waitForOperation(cloud, body.operation.id);
    }
    await removeAllContainers(runtime);
    await runtime.shutDown();
  }
};

const main = async (): Promise<void> => {
  if (!(await canHostLinux())) return;
  const cloud = await startLocalCloud({ arguments: ['--warm-vms', '0'] });
  try {
    await waitForHosts(cloud, 1);
    const lines = await measure(cloud);
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, ${ROUNDS} keys each, interleaved`;
    const text = `# Sessions\n\nWritten by \`npm run bench:session\` on ${machine}.\n\n${lines.join('\n')}\n`;
    await writeFile(join(ROOT, 'docs/benchmarks-session.md'), text);
    process.stdout.write(text);
  } finally {
    await cloud.stop();
  }
};

await main();
