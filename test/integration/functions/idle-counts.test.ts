import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Moves, openCountedWorld } from '../../helpers/counted-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

/** Write units, read units, functions, states, messages, events. `npm run docs` works out the cost in USD. */
const RECORDED = JSON.parse(
  readFileSync(new URL('../../../bench/idle-counts.json', import.meta.url), 'utf8'),
) as unknown;

const figures = ({ writeUnits, readUnits, functions, transitions, messages, events }: Moves) => [
  writeUnits,
  readUnits,
  functions,
  transitions,
  messages,
  events,
];

/** `authorize-host` is not in the counted world: one invocation, and one consistent read of the host. */
const withAuthorizer = (moves: Moves): Moves => ({
  ...moves,
  readUnits: moves.readUnits + 1,
  functions: moves.functions + 1,
});

test('the cost of an idle host, and of a sweep, is as recorded', async () => {
  const { world, count, stop } = await openCountedWorld(engine);
  const sweep = () => count(() => world.sweep());
  const empty = await sweep();
  const host = await world.addHost();
  await world.connect(host);
  const heartbeat = await count(async () => host.heartbeat());
  const reconnect = await count(async () => {
    const before = world.connectionOf(host) ?? '';
    world.cut(host);
    await world.connection(world.eventOf(host, '$disconnect', before));
    await world.connect(host);
  });
  const [first, second] = [await sweep(), await sweep()];
  stop();
  expect({
    heartbeat: figures(heartbeat),
    reconnect: figures(withAuthorizer(reconnect)),
    // The first sweep reads the host's link, and each one the waiting operations of its tenant.
    lease: figures({ ...first, readUnits: first.readUnits - second.readUnits }),
    tenant: figures({ ...second, readUnits: second.readUnits - empty.readUnits }),
    sweep: figures({ ...empty, functions: 1 }),
  }).toEqual(RECORDED);
});
