import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { type Moves, openCountedWorld } from '../../helpers/counted-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

type Figures = readonly [
  writeUnits: number,
  readUnits: number,
  functions: number,
  transitions: number,
  messages: number,
  events: number,
];

/**
 * The cost of each kind of work on AWS. The test fails if a change makes one more than 5 % worse or better: update the
 * figures, and run `npm run docs`, which works out the cost in USD.
 */
const RECORDED = JSON.parse(
  readFileSync(new URL('../../../bench/counts.json', import.meta.url), 'utf8'),
) as Readonly<Record<RuntimeType, Readonly<Record<string, Figures>>>>;

const TOLERANCE = 1.05;
const OTHER: Readonly<Record<RuntimeType, RuntimeType>> = { Default: 'HyperV', HyperV: 'Default' };
/** 40 variables of 100 bytes, with random hexadecimal digits: most environments compress better. */
const LARGE_ENV = Object.fromEntries(
  Array.from({ length: 40 }, (_, at) => [`V${at + 10}`, randomBytes(48).toString('hex')]),
);

const figures = ({ writeUnits, readUnits, functions, transitions, messages, events }: Moves): Figures => [
  writeUnits,
  readUnits,
  functions,
  transitions,
  messages,
  events,
];

const isAbout = (recorded: Figures, now: Figures | undefined): boolean =>
  recorded.every((figure, at) => {
    const other = now?.[at] ?? 0;
    return other <= figure * TOLERANCE && figure <= other * TOLERANCE;
  });

describe('the cost of', () => {
  test.each<RuntimeType>(['Default', 'HyperV'])('the life of a %s container is as recorded', async (type) => {
    const counted = await openCountedWorld(engine);
    // No reservation of this test moves the host to another memory class, as on most hosts.
    const host = await counted.world.addHost({ capacity: { memoryMB: 6_000, cpus: 8, diskMB: 1_048_576 } });
    await counted.world.connect(host);
    const found: Record<string, Figures> = {};
    let id = '';
    const count = async (
      what: string,
      state: string | undefined,
      ...call: Parameters<typeof counted.call>
    ) => {
      const moves = await counted.count(async () => {
        const { status, body } = await counted.call(...call);
        expect([what, status]).toEqual([what, 202]);
        id = body.container?.id ?? id;
      });
      expect([what, (await counted.world.container(id))?.view.state]).toEqual([what, state]);
      found[what] = figures(moves);
    };
    const create = { image: 'mini', runtimeType: type, start: true, command: ['sleep', '600'] };
    const [first, second] = ['first', 'second'].map((key) => ({ 'idempotency-key': key }));
    await count('start', 'Running', 'createContainer', { body: create, headers: first });
    const params = { idOrName: id };
    const to = { runtimeType: OTHER[type], ...(type === 'HyperV' && { acceptUntrustedDisk: true }) };
    await count('convert', 'Running', 'updateContainer', { params, body: to });
    await count('stop', 'Off', 'stopContainer', { params, body: {} });
    await count('remove', undefined, 'removeContainer', { params });
    const large = { ...create, env: LARGE_ENV };
    await count('start with 4 KB of environment', 'Running', 'createContainer', {
      body: large,
      headers: second,
    });
    counted.stop();

    expect(found).toEqual(
      Object.fromEntries(
        Object.entries(RECORDED[type]).map(([what, recorded]) => [
          what,
          isAbout(recorded, found[what]) ? found[what] : recorded,
        ]),
      ),
    );
  });
});
