import { isIP } from 'node:net';
import { InvalidPatternError } from './invalid-pattern-error.ts';

interface Address {
  bits: bigint;
  width: 32 | 128;
}

const ipv4Bits = (text: string): bigint => {
  return text.split('.').reduce((sum, octet) => (sum << 8n) | BigInt(Number(octet)), 0n);
};

const groups = (text: string): string[] => {
  return text === '' ? [] : text.split(':');
};

const ipv6Bits = (text: string): bigint => {
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const v4 = embedded?.[2] === undefined ? undefined : ipv4Bits(embedded[2]);
  const hex =
    v4 === undefined
      ? text
      : `${embedded?.[1] ?? ''}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  const [head = '', tail] = hex.split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
};

const parseAddress = (text: string): Address | undefined => {
  if (text.includes('%')) return undefined;
  const version = isIP(text);
  if (version === 4) return { bits: ipv4Bits(text), width: 32 };
  if (version === 6) return { bits: ipv6Bits(text), width: 128 };
  return undefined;
};

/**
 * @param cidr an IPv4 or IPv6 block, such as `10.0.0.0/24`
 * @returns whether a text is an address in the block
 * @throws InvalidPatternError
 */
export const cidrMatcher = (cidr: string): ((text: string) => boolean) => {
  const [ip, mask, ...rest] = cidr.split('/');
  if (ip === undefined || mask === undefined || mask === '' || rest.length > 0) {
    throw new InvalidPatternError("Malformed CIDR, one '/' required");
  }
  if (!/^-?\d+$/.test(mask)) throw new InvalidPatternError('Malformed CIDR, mask bits must be an integer');
  const length = Number(mask);
  if (length < 0) throw new InvalidPatternError('Malformed CIDR, mask bits must not be negative');
  const base = parseAddress(ip);
  if (!base) throw new InvalidPatternError(`Nonstandard IP address: ${ip}`);
  if (length >= base.width) {
    throw new InvalidPatternError(
      base.width === 32 ? 'IPv4 mask bits must be < 32' : 'IPv6 mask bits must be < 128',
    );
  }
  const shift = BigInt(base.width - length);
  return (text) => {
    const address = parseAddress(text);
    return address?.width === base.width && address.bits >> shift === base.bits >> shift;
  };
};
