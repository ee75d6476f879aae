import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { type Moves, openCountedWorld } from '../../helpers/counted-world.ts';
import { type Engine, startEngine } from '../../helpers/dynoxide.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

type Figures = readonly [writeUnits: number, readUnits: number, functions: number, transitions: number];

/**
 * The cost of each kind of work on AWS: request units of the table, functions, states entered. The test fails if a
 * change makes one more than 5 % worse. After an improvement, update these figures.
 */
const RECORDED: Readonly<Record<RuntimeType, Readonly<Record<string, Figures>>>> = {
  Default: {
    start: [31, 7, 3, 0],
    'start with 4 KB of environment': [63, 8.5, 3, 0],
    convert: [36, 11, 6, 2],
    stop: [25, 5, 3, 0],
    remove: [27, 5, 3, 0],
  },
  HyperV: {
    start: [30, 9, 5, 1],
    'start with 4 KB of environment': [57, 11.5, 5, 1],
    convert: [36, 11, 6, 2],
    stop: [25, 5, 3, 0],
    remove: [27, 5, 3, 0],
  },
};

const TOLERANCE = 1.05;
const OTHER: Readonly<Record<RuntimeType, RuntimeType>> = { Default: 'HyperV', HyperV: 'Default' };
/** 40 variables of 100 bytes. */
const LARGE_ENV = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`V${at + 10}`, 'x'.repeat(97)]));

const figures = ({ writeUnits, readUnits, functions, transitions }: Moves): Figures => [
  writeUnits,
  readUnits,
  functions,
  transitions,
];

const isAbout = (recorded: Figures, now: Figures | undefined): boolean =>
  recorded.every((figure, at) => {
    const other = now?.[at] ?? 0;
    return other <= figure * TOLERANCE && figure <= other * TOLERANCE;
  });

describe('the cost of', () => {
  test.each<RuntimeType>(['Default', 'HyperV'])('the life of a %s container is as recorded', async (type) => {
    const counted = await openCountedWorld(engine);
    const host = await counted.world.addHost();
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
