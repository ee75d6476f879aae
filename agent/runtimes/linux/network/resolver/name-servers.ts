import { isIP } from 'node:net';
import type { NameServer } from './upstream.ts';

const DNS_PORT = 53;

/** The name servers in the text of a resolv.conf. Those of the machine's loopback are its own too. */
export const parseNameServers = (text: string): NameServer[] =>
  text.split('\n').flatMap((line) => {
    const [, host = ''] = /^nameserver\s+(\S+)/.exec(line) ?? [];
    return isIP(host.split('%')[0] ?? '') > 0 ? [{ host, port: DNS_PORT }] : [];
  });

/** What else a resolv.conf says, for a container whose only name server is its switch's. */
export const containerResolvConf = (text: string, nameServer: string): string =>
  [
    `nameserver ${nameServer}`,
    ...text.split('\n').filter((line) => /^(search|domain|options)\s/.test(line)),
    '',
  ].join('\n');
