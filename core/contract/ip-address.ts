/** IP addresses and CIDR ranges as numbers. No package and no node:*, because browsers use the contract too. */
export type IpFamily = 4 | 6;

interface Cidr {
  readonly family: IpFamily;
  /** The first address as a number, with all host bits zero. */
  readonly network: bigint;
  readonly prefix: number;
}

const ADDRESS_BITS: Readonly<Record<IpFamily, number>> = { 4: 32, 6: 128 };

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const IPV6_CHARACTERS = /^[0-9a-fA-F:.]{2,45}$/;

const fold = (parts: readonly number[], bits: bigint): bigint =>
  parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n);

/** The canonical text of an IPv6 address (RFC 5952), or null. The WHATWG URL standard defines the parser and the serializer. */
const canonicalIpv6 = (text: string): string | null => {
  const url = `http://[${text}]/`;
  return IPV6_CHARACTERS.test(text) && URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : null;
};

const groups = (text: string): number[] =>
  text === '' ? [] : text.split(':').map((part) => Number.parseInt(part, 16));

const parseIpv6 = (text: string): bigint | null => {
  const canonical = canonicalIpv6(text);
  if (canonical === null) return null;
  const [head = '', tail] = canonical.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return fold([...before, ...zeros, ...after], 16n);
};

export interface IpAddress {
  readonly family: IpFamily;
  readonly value: bigint;
}

/** An address in its usual notation, or null. No zone, and no leading zeros in IPv4. */
export const parseAddress = (text: string): IpAddress | null => {
  if (IPV4.test(text)) return { family: 4, value: fold(text.split('.').map(Number), 8n) };
  const value = parseIpv6(text);
  return value === null ? null : { family: 6, value };
};

const hostMask = (family: IpFamily, prefix: number): bigint =>
  (1n << BigInt(ADDRESS_BITS[family] - prefix)) - 1n;

const formatAddress = ({ family, value }: IpAddress): string => {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const parts = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  );
  return canonicalIpv6(parts.join(':')) ?? parts.join(':');
};

/** `text` is the canonical form: host bits zero, IPv6 compressed and in lower case. */
export interface ParsedCidr extends Cidr {
  readonly text: string;
}

/** A range in CIDR notation, or one address; null if `text` is neither. Host bits are cleared. */
export const parseCidr = (text: string): ParsedCidr | null => {
  const [, addressText = '', prefixText] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  if (address === null) return null;
  const { family, value } = address;
  const bits = ADDRESS_BITS[family];
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits) return null;
  const network = value & ~hostMask(family, prefix);
  const suffix = prefixText === undefined ? '' : `/${prefix}`;
  return { family, network, prefix, text: `${formatAddress({ family, value: network })}${suffix}` };
};

export const contains = (range: Cidr, { family, value }: IpAddress): boolean =>
  range.family === family && (value & ~hostMask(family, range.prefix)) === range.network;

/** Whether every address of `inner` is in `outer`. */
export const covers = (outer: Cidr, inner: Cidr): boolean =>
  outer.prefix <= inner.prefix && contains(outer, { family: inner.family, value: inner.network });
