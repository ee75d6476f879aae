import { beforeEach, describe, expect, test } from '@jest/globals';
import { Authenticity } from '../../../agent/authenticity/authenticity.ts';
import { type CommandGate, createCommandGate } from '../../../agent/authenticity/command-gate.ts';
import { type TrustedKeys, trustAtFirst } from '../../../agent/authenticity/trusted-keys.ts';
import { createLog } from '../../../agent/log.ts';
import {
  deriveSigningKey,
  keyIdOf,
  type SigningKey,
  signPayload,
} from '../../../core/authenticity/signing-key.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { signCommand } from '../../helpers/signing.ts';

const HOST = '00000000-0000-4000-8000-000000000001';
const OTHER_HOST = '00000000-0000-4000-8000-000000000002';
/** By the control plane's clock, which is independent of the host's. */
const SERVER_MS = 2_000_000_000_000;
const DAY_MS = 24 * 3_600_000;
const [k1, k2, k3, k4] = ['1', '2', '3', '4'].map(deriveSigningKey) as [
  SigningKey,
  SigningKey,
  SigningKey,
  SigningKey,
];
const exec = {
  id: 'c-1',
  hostId: HOST,
  containerId: null,
  epoch: 1,
  ttlSeconds: 60,
  arguments: { verb: 'exec', command: ['touch', 'secret-argument'], timeoutSeconds: 5 },
};
const announce = (from: SigningKey, to: SigningKey) =>
  signPayload(from, 'next-key', { publicKey: to.publicKey });

let clock: ManualClock;
let kept: TrustedKeys;
let logged: string[];
let taken: string[];
let refused: [string, string][];
let asked: number;
let spent: boolean;
let authenticity: Authenticity;
let gate: CommandGate;

/** Simulates a new agent process with the stored state. */
const startAgent = () => {
  const log = createLog({ level: 'debug', forPeople: false, clock, write: (line) => void logged.push(line) });
  const save = (now: TrustedKeys) => {
    kept = now;
  };
  const keys = { load: () => kept, save };
  authenticity = new Authenticity({ hostId: HOST, clock, log, keys });
  gate = createCommandGate({
    ...{ hostId: HOST, authenticity, clock, log },
    handler: {
      receive: ({ id }) => {
        if (!spent) taken.push(id);
        return spent ? 'replayed' : 'taken';
      },
      refuse: (id, { code }) => void taken.push(`${id} ${code}`),
    },
    report: (id, reason) => void refused.push([id, reason]),
    askForKeys: () => {
      asked += 1;
    },
  });
};

const timeBy = (key: SigningKey, over: object = {}) =>
  signPayload(key, 'server-time', { hostId: HOST, messageId: 'hello-1', nowMs: SERVER_MS, ...over });
const welcome = (signer: SigningKey, rest: object = {}) => {
  authenticity.acceptWelcome('hello-1', { signedTime: timeBy(signer), ...rest });
  gate.confirmUnknownKeys();
};
const give = (key: SigningKey, over: object = {}, expiresAtMs = SERVER_MS + 60_000) =>
  gate.receive(signCommand({ ...exec, ...over }, { key, expiresAtMs }));

beforeEach(() => {
  clock = new ManualClock();
  kept = trustAtFirst([k1.publicKey]);
  logged = [];
  taken = [];
  refused = [];
  asked = 0;
  spent = false;
  startAgent();
});

describe('a host accepts a command', () => {
  test('that the control plane signed for it', () => {
    welcome(k1);
    give(k1);
    expect(taken).toEqual(['c-1']);
    expect(refused).toEqual([]);
  });

  test('only after the welcome, whose time it needs; the command is resent then', () => {
    give(k1);
    expect([taken, refused]).toEqual([[], []]);
  });

  test('that it can parse only partly, and answers it with its own error', () => {
    welcome(k1);
    give(k1, { arguments: { verb: 'fly' } });
    expect(taken).toEqual(['c-1 not-supported-yet']);
  });
});

describe('a host refuses and reports a command', () => {
  beforeEach(() => welcome(k1));

  test.each<[string, () => void]>([
    ['unsigned', () => gate.receive({ ...signCommand(exec), signature: '', keyId: '' })],
    ['wrong-signature', () => gate.receive({ ...signCommand(exec), keyId: k1.keyId })],
    ['wrong-signature', () => gate.receive({ ...signPayload(k1, 'server-time', exec) })],
    ['other-host', () => give(k1, { hostId: OTHER_HOST })],
    ['expired', () => give(k1, {}, SERVER_MS - 1)],
  ])('that is %s', (reason, attack) => {
    attack();
    expect(taken).toEqual([]);
    expect(refused).toEqual([['c-1', reason]]);
  });

  test('whose signed payload is not a command', () => {
    gate.receive(signPayload(k1, 'command', { id: 'c-1' }));
    expect(refused).toEqual([['c-1', 'unreadable']]);
  });

  test('that it has executed and pruned', () => {
    spent = true;
    give(k1);
    expect(refused).toEqual([['c-1', 'replayed']]);
  });

  test('that expired by the monotonic clock, regardless of the wall clocks', async () => {
    await clock.pass(59_000);
    give(k1);
    await clock.pass(2_000);
    give(k1, { id: 'late' });
    expect(taken).toEqual(['c-1']);
    expect(refused).toEqual([['late', 'expired']]);
  });

  test('and logs its id and the reason, but never its arguments', () => {
    gate.receive({ ...signCommand(exec), keyId: k1.keyId });
    expect(logged.join()).toContain('wrong-signature');
    expect(logged.join()).not.toContain('secret-argument');
  });
});

describe('the time of a welcome is used only', () => {
  test.each([
    ['signed by a trusted key', timeBy(k2)],
    [
      'signed as a time',
      signPayload(k1, 'command', { hostId: HOST, messageId: 'hello-1', nowMs: SERVER_MS }),
    ],
    ['for this host', timeBy(k1, { hostId: OTHER_HOST })],
    ['as the answer to this hello', timeBy(k1, { messageId: 'an older hello' })],
  ])('%s', (_, signedTime) => {
    authenticity.acceptWelcome('hello-1', { signedTime, nextKeys: [announce(k1, k2)].slice(1) });
    give(k1);
    expect(taken).toEqual([]);
  });

  test('if it is the latest, so that an older welcome does not make an expired command valid', async () => {
    welcome(k1);
    await clock.pass(120_000);
    welcome(k1);
    give(k1);
    expect(refused).toEqual([['c-1', 'expired']]);
  });
});

describe('key rotation', () => {
  test('the old key announces the new key, and both are valid for a day', async () => {
    welcome(k2, { nextKeys: [announce(k1, k2)] });
    expect(authenticity.newestKey).toBe(k2.keyId);
    give(k1, { id: 'old' });
    give(k2, { id: 'new' });
    await clock.pass(DAY_MS + 1);
    give(k1, { id: 'too late' }, SERVER_MS + 2 * DAY_MS);
    expect(taken).toEqual(['old', 'new']);
    expect(asked).toBe(1);
  });

  test('a host that enrolled during a rotation trusts the replaced key for a day from its first welcome', async () => {
    kept = trustAtFirst([k2.publicKey, k1.publicKey]);
    startAgent();
    welcome(k1);
    give(k1, { id: 'old' });
    await clock.pass(DAY_MS + 1);
    give(k1, { id: 'too late' }, SERVER_MS + 2 * DAY_MS);
    give(k2, { id: 'new' }, SERVER_MS + 2 * DAY_MS);
    expect(taken).toEqual(['old', 'new']);
    expect(kept.map(({ untilMs }) => untilMs)).toEqual([null, SERVER_MS + DAY_MS]);
  });

  test('a host that was disconnected follows all announcements in any order', () => {
    const nextKeys = [announce(k3, k4), announce(k1, k2), announce(k2, k3)];
    welcome(k4, { nextKeys });
    expect(kept.map(({ publicKey }) => keyIdOf(publicKey))).toEqual([k4.keyId, k3.keyId]);
    startAgent();
    welcome(k4);
    give(k4);
    expect(taken).toEqual(['c-1']);
  });

  test('a key that an untrusted key announces, or that is not announced, is not trusted', () => {
    const forged = { ...announce(k3, k2), keyId: k1.keyId };
    welcome(k2, { nextKeys: [forged, announce(k3, k2)], commandKeys: [k2.publicKey] });
    expect(authenticity.newestKey).toBe(k1.keyId);
    welcome(k1);
    give(k2);
    expect(taken).toEqual([]);
  });

  test('an unknown key is requested once and refused if the welcome does not announce it', () => {
    welcome(k1);
    give(k2);
    expect([asked, refused]).toEqual([1, []]);
    give(k2);
    expect([asked, refused]).toEqual([1, []]);
    welcome(k1);
    give(k2);
    expect([asked, refused]).toEqual([1, [['c-1', 'unknown-key']]]);
  });

  test('a command with a key that was announced in the meantime is accepted when it is resent', () => {
    welcome(k1);
    give(k2);
    welcome(k2, { nextKeys: [announce(k1, k2)] });
    give(k2);
    expect(taken).toEqual(['c-1']);
  });
});

describe('a host that enrolled before commands were signed', () => {
  beforeEach(() => {
    kept = [];
    startAgent();
  });

  test('trusts the keys of its first welcome once and logs it', () => {
    welcome(k1, { commandKeys: [k1.publicKey] });
    welcome(k2, { commandKeys: [k2.publicKey] });
    give(k1);
    expect(taken).toEqual(['c-1']);
    expect(kept).toEqual(trustAtFirst([k1.publicKey]));
    expect(logged.filter((line) => line.includes('of the first welcome'))).toHaveLength(1);
  });

  test('accepts no command from a control plane that does not sign', () => {
    authenticity.acceptWelcome('hello-1', {});
    give(k1);
    expect(taken).toEqual([]);
    expect(logged.join()).toContain('does not sign');
  });
});
