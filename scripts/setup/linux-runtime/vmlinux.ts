/** Fields of a bzImage's header that locate the compressed kernel: Documentation/arch/x86/boot.rst. */
const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR = 512;
const DEFAULT_SETUP_SECTORS = 4;

/** The payload ends with the unpacked length, which is not part of the compressed stream. */
const SIZE_BYTES = 4;

export type Compression = 'xz' | 'gzip' | 'zstd' | 'lz4';
const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
];

/** The compressed kernel inside a bzImage; null if the data is not a bzImage. */
export const findPayload = (bzImage: Buffer): { compression: Compression; data: Buffer } | null => {
  if (
    bzImage.length < PAYLOAD_LENGTH + 4 ||
    bzImage.toString('latin1', HEADER_MAGIC, HEADER_MAGIC + 4) !== 'HdrS'
  )
    return null;
  const sectors = (bzImage[SETUP_SECTORS] || DEFAULT_SETUP_SECTORS) + 1;
  const start = sectors * SECTOR + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  const payload = bzImage.subarray(start, start + bzImage.readUInt32LE(PAYLOAD_LENGTH));
  const found = MAGICS.find(([, magic]) => magic.every((byte, index) => payload[index] === byte));
  if (!found) return null;
  const [compression] = found;
  return { compression, data: compression === 'gzip' ? payload : payload.subarray(0, -SIZE_BYTES) };
};

export const isElf = (data: Buffer): boolean => data.toString('latin1', 0, 4) === '\x7fELF';
