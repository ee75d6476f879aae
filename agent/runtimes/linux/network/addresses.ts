/** The network of the switch `NAT`, shared by all agents of the machine: each address has one owner. */
const NETWORK = [10, 213] as const;
export const NETWORK_CIDR = `${NETWORK.join('.')}.0.0/16`;
/** The address of the router and the resolver for every container. Each router namespace has it on its loopback device. */
export const GATEWAY = `${NETWORK.join('.')}.0.1`;
/** The host's end of the link to every router namespace. */
export const HOST_END = `${NETWORK.join('.')}.0.2`;

/** @param offset the leased offset in the network */
export const addressOf = (offset: number): string => `${NETWORK.join('.')}.${offset >> 8}.${offset & 255}`;

/** A locally administered MAC address. It is derived from the IP address, so it is also unique. */
export const macOf = (address: string): string =>
  `02:bb:${address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')}`;
