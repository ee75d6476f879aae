/** Network frames that a hostile container could send. */
export interface Datagram {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** Source port. @default 4000 */
  readonly fromPort?: number;
  readonly text: string;
  /** Options of the IP header, padded to four bytes. */
  readonly options?: Buffer;
}

const bytesOf = (address: string): number[] => address.split('.').map(Number);
const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

const checksum = (bytes: Buffer): number => {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

const UDP = 17;
const ipHeader = (
  { from, to, options = Buffer.alloc(0) }: Datagram,
  payload: number,
  fragment: { offset: number; more: boolean },
): Buffer => {
  const header = Buffer.alloc(20 + options.length);
  header[0] = 0x40 | (header.length / 4);
  header.writeUInt16BE(header.length + payload, 2);
  header.writeUInt16BE(0x4242, 4);
  header.writeUInt16BE((fragment.more ? 0x2000 : 0) | (fragment.offset / 8), 6);
  header[8] = 64;
  header[9] = UDP;
  Buffer.from([...bytesOf(from), ...bytesOf(to)]).copy(header, 12);
  options.copy(header, 20);
  header.writeUInt16BE(checksum(header), 10);
  return header;
};

/** Splits the datagram into IP packets. The UDP checksum is omitted, which IPv4 allows. */
const ipPackets = (datagram: Datagram, pieceBytes: number): Buffer[] => {
  const text = Buffer.from(datagram.text);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(datagram.fromPort ?? 4_000, 0);
  udp.writeUInt16BE(datagram.port, 2);
  udp.writeUInt16BE(udp.length + text.length, 4);
  const whole = Buffer.concat([udp, text]);
  const packets: Buffer[] = [];
  for (let offset = 0; offset < whole.length; offset += pieceBytes) {
    const piece = whole.subarray(offset, offset + pieceBytes);
    const more = offset + piece.length < whole.length;
    packets.push(Buffer.concat([ipHeader(datagram, piece.length, { offset, more }), piece]));
  }
  return packets;
};

const IPV4 = Buffer.from([0x08, 0x00]);

/** @param tag bytes between the MAC addresses and the type of the payload, such as a VLAN tag */
export const udpFrames = (
  macs: { from: string; to: string },
  datagram: Datagram,
  { tag = Buffer.alloc(0), pieceBytes = 65_528 } = {},
): string[] =>
  ipPackets(datagram, pieceBytes).map((packet) =>
    Buffer.concat([macBytes(macs.to), macBytes(macs.from), tag, IPV4, packet]).toString('hex'),
  );

/** An ARP announcement to all hosts on the link that the IP address has this MAC address. */
export const arpClaim = (mac: string, address: string, target: string): string =>
  Buffer.concat([
    Buffer.from('ffffffffffff', 'hex'),
    macBytes(mac),
    Buffer.from([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]),
    macBytes(mac),
    Buffer.from(bytesOf(address)),
    Buffer.alloc(6),
    Buffer.from(bytesOf(target)),
  ]).toString('hex');

/** A router advertisement to all nodes of the link, from which a neighbour would configure an address. */
export const routerAdvertisement = (mac: string): string => {
  const body = Buffer.from(
    '86000000400807080000000000000000' + '030440c000015180000151800000000020010db8000000000000000000000000',
    'hex',
  );
  const source = Buffer.from('fe800000000000000000000000000001', 'hex');
  const target = Buffer.from('ff020000000000000000000000000001', 'hex');
  const pseudo = Buffer.concat([source, target, Buffer.from([0, 0, 0, body.length, 0, 0, 0, 58]), body]);
  body.writeUInt16BE(checksum(pseudo), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, body.length, 58, 255]);
  return Buffer.concat([
    Buffer.from('333300000001', 'hex'),
    macBytes(mac),
    Buffer.from([0x86, 0xdd]),
    header,
    source,
    target,
    body,
  ]).toString('hex');
};
