/**
 * Addresses that are not public, from the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its
 * successors). Ranges may overlap.
 */
interface AddressRange {
  readonly cidr: string;
  readonly name: string;
  /** Whether the host's operator can open it for containers. */
  readonly openable: boolean;
}

const closed = (cidr: string, name: string): AddressRange => ({ cidr, name, openable: false });
const openable = (cidr: string, name: string): AddressRange => ({ cidr, name, openable: true });

export const NON_PUBLIC_RANGES: readonly AddressRange[] = [
  closed('0.0.0.0/8', 'this network'),
  openable('10.0.0.0/8', 'private'),
  openable('100.64.0.0/10', 'carrier-grade NAT'),
  closed('127.0.0.0/8', 'loopback'),
  closed('169.254.0.0/16', 'link-local'),
  openable('172.16.0.0/12', 'private'),
  closed('192.0.0.0/24', 'IETF protocol assignments'),
  closed('192.0.2.0/24', 'documentation'),
  closed('192.88.99.0/24', '6to4 relays'),
  openable('192.168.0.0/16', 'private'),
  openable('198.18.0.0/15', 'benchmarking'),
  closed('198.51.100.0/24', 'documentation'),
  closed('203.0.113.0/24', 'documentation'),
  closed('224.0.0.0/4', 'multicast'),
  closed('240.0.0.0/4', 'reserved, and the limited broadcast address'),

  // Only 2000::/3 is global unicast. The rest is closed, including later assignments.
  closed(
    '::/3',
    'loopback, unspecified, IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96), discard (100::/64), reserved',
  ),
  closed('4000::/2', 'reserved'),
  closed('8000::/1', 'link-local (fe80::/10), site-local (fec0::/10), multicast (ff00::/8), reserved'),
  openable('fc00::/7', 'unique local'),
  // Within global unicast.
  closed('2001::/23', 'IETF protocol assignments: Teredo (2001::/32), benchmarking (2001:2::/48), ORCHID'),
  closed('2001:db8::/32', 'documentation'),
  closed('2002::/16', '6to4'),
  closed('3fff::/20', 'documentation'),
];

export const NON_PUBLIC_CIDRS: readonly string[] = NON_PUBLIC_RANGES.map(({ cidr }) => cidr);

/** Addresses of cloud metadata and credential services. No policy can open them. */
export const METADATA_ADDRESSES: readonly string[] = [
  '169.254.169.254', // AWS, Azure, Google Cloud, OpenStack, DigitalOcean, Oracle
  '169.254.170.2', // AWS: credentials of ECS tasks
  '169.254.170.23', // AWS: credentials of EKS pods
  '169.254.42.42', // Scaleway
  '100.100.100.200', // Alibaba Cloud
  '168.63.129.16', // Azure: the host's agent
  '192.0.0.192', // Oracle, first generation
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS: credentials of EKS pods
  'fd00:42::42', // Scaleway
  'fd20:ce::254', // Google Cloud
  'fd00:c1::a9fe:a9fe', // Oracle
];
