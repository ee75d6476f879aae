import { isIP } from 'node:net';
import type { NameServer } from './upstream.ts';

const DNS_PORT = 53;

/** Parses the name servers of a resolv.conf, including those on loopback addresses. */
export const parseNameServers = (text: string): NameServer[] =>
  text.split('\n').flatMap((line) => {
    const [, host = ''] = /^nameserver\s+(\S+)/.exec(line) ?? [];
    return isIP(host.split('%')[0] ?? '') > 0 ? [{ host, port: DNS_PORT }] : [];
  });

/** The resolv.conf of a container: the switch's name server, with the search domains and options of `text`. */
export const containerResolvConf = (text: string, nameServer: string): string =>
  [
    `nameserver ${nameServer}`,
    ...text.split('\n').filter((line) => /^(search|domain|options)\s/.test(line)),
    '',
  ].join('\n');
