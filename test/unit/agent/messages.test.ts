import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as z from 'zod/mini';
import { RuntimeError } from '../../../agent/errors.ts';
import { failedResult, fitResult } from '../../../agent/execute/command-result.ts';
import { StepFailure } from '../../../agent/execute/execute-plan.ts';
import { sendInFrames } from '../../../agent/link/frames.ts';
import {
  divideObserved,
  encode,
  encodeResult,
  RESULT_BYTES,
  resultMessageId,
} from '../../../agent/link/outgoing.ts';
import { readCommand } from '../../../agent/link/read-command.ts';
import { readControlMessage } from '../../../agent/link/read-message.ts';
import {
  type CommandResult,
  CommandResultSchema,
  type ObservedContainer,
} from '../../../core/contract/agent/commands.ts';
import { FRAME_BYTES, MESSAGE_BYTES } from '../../../core/contract/agent/messages.ts';

const ID = '0b1f6f0e-3f0c-4a53-9d5f-2a7f3f1c9a11';
const process = (pid: number, commandLine: string) => ({
  pid,
  name: 'p',
  userName: 'u',
  commandLine,
  cpuSeconds: 0,
  workingSetBytes: 0,
  startedAt: null,
});
const observed = (index: number): ObservedContainer => ({
  containerId: `0b1f6f0e-3f0c-4a53-9d5f-${String(index).padStart(12, '0')}`,
  epoch: 1,
  phase: 'Off',
  runtimeType: 'Default',
  startedAt: null,
  exitCode: 1,
  exitReason: 'x'.repeat(300),
  restartCount: 0,
  workerProcess: null,
  sequence: index,
});

describe('an agent’s messages', () => {
  test('a result that is too large is shortened, with the number of omitted processes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 0, max: 1_500 }), (count, length) => {
        const processes = Array.from({ length: count }, (_, pid) => process(pid, 'ü'.repeat(length)));
        const result: CommandResult = {
          status: 'succeeded',
          commandId: 'c',
          steps: [],
          observed: null,
          processes,
        };
        const fitted = z.parse(CommandResultSchema, fitResult(result, RESULT_BYTES));
        expect(encodeResult(fitted).length).toBeLessThanOrEqual(MESSAGE_BYTES);
        if (fitted.status !== 'succeeded') throw new TypeError('it did succeed');
        expect((fitted.processes?.length ?? 0) + (fitted.processesOmitted ?? 0)).toBe(count);
        const whole = encodeResult(result).length <= RESULT_BYTES;
        if (whole) expect(fitted).toEqual(result);
      }),
      { numRuns: 60 },
    );
  });

  describe('an isolation report that is too large for a message', () => {
    const report = (count: number, kernel: string): CommandResult => {
      const processes = Array.from({ length: count }, (_, pid) => process(pid, 'x'.repeat(4_096)));
      const isolation = {
        runtimeType: 'Default' as const,
        kernel: { host: '6.1', container: kernel },
        sharedKernel: true,
        containerProcesses: processes,
        visibleOnHost: processes,
        workerProcess: null,
      };
      return { status: 'succeeded', commandId: 'c', steps: [], observed: null, isolation };
    };

    test('is shortened, with the number of omitted processes', () => {
      const fitted = z.parse(CommandResultSchema, fitResult(report(300, '6.1'), RESULT_BYTES));
      expect(encodeResult(fitted).length).toBeLessThanOrEqual(MESSAGE_BYTES);
      if (fitted.status !== 'succeeded') throw new TypeError('it did succeed');
      const { containerProcesses = [], visibleOnHost = [] } = fitted.isolation ?? {};
      expect(containerProcesses.length).toBeGreaterThan(10);
      expect(visibleOnHost).toEqual(containerProcesses);
      expect(fitted.processesOmitted).toBe(300 - containerProcesses.length);
    });

    test('is replaced by a failure if the guest’s text alone is too large', () => {
      const fitted = z.parse(
        CommandResultSchema,
        fitResult(report(3, 'x'.repeat(1024 * 1024)), RESULT_BYTES),
      );
      expect(encodeResult(fitted).length).toBeLessThanOrEqual(MESSAGE_BYTES);
      expect(fitted).toMatchObject({
        status: 'failed',
        error: { message: expect.stringMatching(/^The answer has \d+ bytes/) },
      });
    });
  });

  test('observations are split into messages that fit, without loss', () => {
    fc.assert(
      fc.property(fc.nat(1_200), fc.nat(20_000), (count, taken) => {
        let rest = Array.from({ length: count }, (_, index) => observed(index));
        const all = rest;
        const told: ObservedContainer[] = [];
        while (rest.length > 0) {
          const part = divideObserved(rest, taken);
          expect(
            encode({ action: 'observed', messageId: 'm', observed: part.fitting }).length + taken,
          ).toBeLessThanOrEqual(MESSAGE_BYTES);
          told.push(...part.fitting);
          rest = part.rest;
        }
        expect(told).toEqual(all);
      }),
      { numRuns: 40 },
    );
  });

  test('a message is split into frames of at most 32 KB', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MESSAGE_BYTES }), (length) => {
        const frames: { data: Buffer; fin: boolean }[] = [];
        const message = Buffer.alloc(length, 'a');
        sendInFrames({ send: (data, { fin }) => void frames.push({ data, fin }) }, message);
        expect(frames.every(({ data }) => data.length <= FRAME_BYTES)).toBe(true);
        expect(frames.map(({ fin }) => fin)).toEqual(frames.map((_, index) => index === frames.length - 1));
        expect(Buffer.concat(frames.map(({ data }) => data)).equals(message)).toBe(true);
      }),
    );
  });

  test('the id of a result is deterministic and never too long', () => {
    expect(resultMessageId('op:Start:1')).toBe('result:op:Start:1');
    const long = 'x'.repeat(4_000);
    expect(resultMessageId(long)).toBe(resultMessageId(long));
    expect(resultMessageId(long).length).toBeLessThanOrEqual(128);
    expect(resultMessageId(`${long}y`)).not.toBe(resultMessageId(long));
  });

  test('a failure has step, cause and suggestion', () => {
    const cause = new RuntimeError('switch-not-found', 'This host has no switch "x".', {
      suggestion: 'Use NAT.',
    });
    expect(
      z.parse(CommandResultSchema, failedResult('c', new StepFailure('CreateNetworkEndpoint', cause, null))),
    ).toMatchObject({
      error: {
        code: 'switch-not-found',
        step: 'CreateNetworkEndpoint',
        message: 'CreateNetworkEndpoint: This host has no switch "x".',
        suggestion: 'Use NAT.',
      },
    });
    expect(
      failedResult('c', new TypeError('odd')).status === 'failed' && failedResult('c', new TypeError('odd')),
    ).toMatchObject({
      error: { code: 'internal' },
    });
  });
});

const command = {
  id: 'c',
  hostId: ID,
  containerId: ID,
  epoch: 1,
  ttlSeconds: 60,
  arguments: { verb: 'stopContainer', timeoutSeconds: 1 },
};

describe('an agent parses', () => {
  const signed = { payload: '{}', signature: 's', keyId: 'k' };
  const message = { action: 'command', ...signed };
  const payload = (content: object) => JSON.stringify({ ...content, expiresAtMs: 9 });

  test('a message of the contract', () => {
    expect(readControlMessage(JSON.stringify(message))).toEqual({ kind: 'message', message });
  });

  test('a message of a later version, without its unknown members', () => {
    const reading = readControlMessage(JSON.stringify({ ...message, trace: 'x' }));
    expect(reading).toEqual({ kind: 'message', message });
  });

  test('the id of a command without a signature', () => {
    const text = JSON.stringify({ action: 'command', command });
    expect(readControlMessage(text)).toEqual({ kind: 'unsigned', commandId: 'c' });
    expect(readControlMessage('{"action":"command"}')).toEqual({ kind: 'unsigned', commandId: '' });
  });

  test('a command of a later version, without its unknown members', () => {
    const later = { ...command, deadline: 1, arguments: { ...command.arguments, politely: true } };
    expect(readCommand(payload(later))).toEqual({ kind: 'command', command, expiresAtMs: 9 });
  });

  test('an unknown verb, which it refuses by name', () => {
    const odd = { ...command, arguments: { verb: 'runScript', script: 'rm -rf /' } };
    expect(readCommand(payload(odd))).toMatchObject({
      kind: 'refused',
      commandId: 'c',
      error: { code: 'not-supported-yet', message: expect.stringContaining('"runScript"') },
    });
  });

  test('invalid arguments, which it refuses with their path but without their value', () => {
    const odd = { ...command, arguments: { verb: 'stopContainer', timeoutSeconds: 'secret' } };
    const reading = readCommand(payload(odd));
    expect(reading).toMatchObject({ kind: 'refused', error: { code: 'validation-failed' } });
    const message = reading.kind === 'refused' ? reading.error.message : '';
    expect(message).toContain('timeoutSeconds');
    expect(message).not.toContain('secret');
  });

  test.each(['', '7', '{}', '{"id":"c"}', JSON.stringify(command)])('and refuses %j as a command', (text) => {
    expect(readCommand(text)).toEqual({ kind: 'unreadable' });
  });

  test.each(['', 'null', '7', '[]', '{}', '{"action":5}', '{"action":"dance"}', '{"action":"ack"}'])(
    'other text, such as %j, as unknown',
    (text) => {
      expect(readControlMessage(text)).toMatchObject({ kind: 'unknown' });
    },
  );

  test('any text without throwing', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void readControlMessage(text)));
  });
});
