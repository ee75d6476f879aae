import { describe, expect, test } from '@jest/globals';
import { encodeCpio, FILE, FOLDER } from '../../../scripts/setup/linux-runtime/cpio.ts';
import { unpackLz4 } from '../../../scripts/setup/linux-runtime/lz4.ts';
import { dependenciesOf } from '../../../scripts/setup/linux-runtime/modules.ts';
import { findPayload, isElf } from '../../../scripts/setup/linux-runtime/vmlinux.ts';

describe('an initramfs', () => {
  test('is a newc archive: headers in hexadecimal, everything padded to four bytes, a trailer', () => {
    const archive = encodeCpio([
      { path: 'etc', mode: FOLDER | 0o755 },
      { path: 'etc/x', mode: FILE | 0o644, content: Buffer.from('abcde') },
    ]);
    const text = archive.toString('latin1');
    expect(archive.length % 4).toBe(0);
    expect(text.match(/070701/g)).toHaveLength(3);
    expect(text.slice(0, 14)).toBe('07070100000001');
    expect(text.slice(14, 22)).toBe('000041ed');
    expect(text).toContain('etc/x\0');
    const file = text.indexOf('070701', 8);
    expect(text.slice(file + 54, file + 62)).toBe('00000005');
    expect(text).toContain('TRAILER!!!\0');
  });
});

describe('LZ4', () => {
  test('decompresses literals and overlapping matches', () => {
    // Three literals, then a match of 9 bytes at offset 3, then one literal.
    const block = Buffer.from([0x35, 0x61, 0x62, 0x63, 3, 0, 0x10, 0x21]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    const frame = Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), size, block]);
    expect(unpackLz4(frame).toString()).toBe('abcabcabcabc!');
  });

  test('decodes lengths of 15 and more from further bytes', () => {
    const literals = Buffer.alloc(300, 0x7a);
    const block = Buffer.concat([Buffer.from([0xf0, 255, 30]), literals]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    expect(unpackLz4(Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), size, block]))).toEqual(literals);
  });
});

describe('a kernel', () => {
  test('is located in a bzImage by its header', () => {
    const image = Buffer.alloc(4096);
    image[0x1f1] = 2;
    image.write('HdrS', 0x202);
    image.writeUInt32LE(100, 0x248);
    image.writeUInt32LE(20, 0x24c);
    image.set([0x28, 0xb5, 0x2f, 0xfd], 3 * 512 + 100);
    expect(findPayload(image)).toMatchObject({
      compression: 'zstd',
      data: expect.objectContaining({ length: 16 }),
    });
    expect(findPayload(Buffer.alloc(4096))).toBeNull();
    expect(isElf(Buffer.from('\x7fELF', 'latin1'))).toBe(true);
    expect(isElf(Buffer.alloc(4))).toBe(false);
  });

  test('lists the dependencies of its modules', () => {
    expect(dependenciesOf(Buffer.from('x\0license=GPL\0depends=virtio,virtio-ring\0name=a\0'))).toEqual([
      'virtio',
      'virtio_ring',
    ]);
    expect(dependenciesOf(Buffer.from('x\0depends=\0'))).toEqual([]);
    expect(dependenciesOf(Buffer.from('none'))).toEqual([]);
  });
});
