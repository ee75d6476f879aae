/** The network of the switch `NAT`, shared by all agents of the machine: each address has one owner. */
const NETWORK = [10, 213] as const;
export const NETWORK_CIDR = `${NETWORK.join('.')}.0.0/16`;
/** Where every container finds its router and its resolver. Each router namespace has it, on its loopback. */
export const GATEWAY = `${NETWORK.join('.')}.0.1`;
/** The host's end of the link to every router namespace. */
export const HOST_END = `${NETWORK.join('.')}.0.2`;

/** @param offset in the network, as leased */
export const addressOf = (offset: number): string => `${NETWORK.join('.')}.${offset >> 8}.${offset & 255}`;

/** Locally administered; derived from the address, so it is as unique. */
export const macOf = (address: string): string =>
  `02:bb:${address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')}`;
