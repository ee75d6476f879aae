import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeFields,
  encodeFields,
  encodeFrame,
  type Frame,
  FrameDecoder,
  GuestProtocolError,
  HEADER_BYTES,
  HelloFinder,
  MAX_PAYLOAD,
  NONCE_BYTES,
} from '../../../agent/runtimes/linux/channel/frames.ts';
import { scaled } from '../../helpers/scaled.ts';

const PIECES = scaled({ ci: 20_000, whole: 100_000 });

const frame = fc.record({
  type: fc.integer({ min: 1, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  stream: fc.integer({ min: 0, max: 65_535 }),
  payload: fc.uint8Array({ maxLength: 300 }),
});
const decodeIn = (pieces: readonly Buffer[]): Frame[] => {
  const decoder = new FrameDecoder();
  return pieces.flatMap((piece) => [...decoder.push(piece)]);
};
const cut = (data: Buffer, sizes: readonly number[]): Buffer[] => {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(data.subarray(at, at + size));
    at += size;
  }
  return [...pieces, data.subarray(at)];
};

describe('frames', () => {
  test('are decoded unchanged from a stream in any pieces', () => {
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.integer({ min: 0, max: 50 })), (frames, sizes) => {
        const data = Buffer.concat(
          frames.map((one) => encodeFrame(one.type, one.stream, one.payload, one.flags)),
        );
        const seen = decodeIn(cut(data, sizes));
        expect(seen.map((one) => ({ ...one, payload: [...one.payload] }))).toEqual(
          frames.map((one) => ({ ...one, payload: [...one.payload] })),
        );
      }),
    );
  });

  test('a header with a length above the limit is refused before memory is allocated', () => {
    const header = encodeFrame(19, 1);
    header.writeUInt32LE(MAX_PAYLOAD + 1, 4);
    expect(() => decodeIn([header])).toThrow(GuestProtocolError);
  });

  test(`${PIECES} hostile pieces result in a refusal or in frames of the right size`, () => {
    let refused = 0;
    let decoder = new FrameDecoder();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (piece) => {
        try {
          for (const one of decoder.push(Buffer.from(piece)))
            if (one.payload.length > MAX_PAYLOAD) throw new TypeError('too long');
        } catch (error) {
          if (!(error instanceof GuestProtocolError)) throw error;
          refused++;
          decoder = new FrameDecoder();
        }
      }),
      { numRuns: PIECES },
    );
    expect(refused).toBeGreaterThan(0);
  });
});

describe('fields', () => {
  test('a value is truncated at NUL and cannot add another field', () => {
    expect([...decodeFields(encodeFields([['arg', 'a\0user=root']]))]).toEqual([['arg', 'a']]);
  });
});

describe('the greeting', () => {
  const nonce = Buffer.alloc(NONCE_BYTES, 7);
  const hello = encodeFrame(16, 0, Buffer.concat([nonce, Buffer.from('main=1\0')]));

  test('is found after the rest of an earlier connection, in any pieces', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.integer({ min: 1, max: 20 })),
        (rest, sizes) => {
          const finder = new HelloFinder(nonce, 10_000);
          const after = Buffer.from('following');
          const found = cut(Buffer.concat([rest.subarray(0), hello, after]), sizes).reduce<Buffer | null>(
            (seen, piece) => (seen === null ? finder.push(piece) : Buffer.concat([seen, piece])),
            null,
          );
          expect(found?.subarray(0, hello.length)).toEqual(hello);
        },
      ),
    );
  });

  test('is not awaited indefinitely or buffered without limit', () => {
    const finder = new HelloFinder(nonce, 1_000);
    expect(() => {
      for (;;) finder.push(Buffer.alloc(100, 3));
    }).toThrow(GuestProtocolError);
  });

  test('must have the nonce of the connection', () => {
    const other = encodeFrame(16, 0, Buffer.alloc(NONCE_BYTES, 8));
    expect(new HelloFinder(nonce, 10_000).push(other)).toBeNull();
    expect(other.length).toBe(HEADER_BYTES + NONCE_BYTES);
  });
});
