const LENGTH = 12;

/** The host name of a container: the beginning of its id, as docker shows it. */
export const hostNameOf = (containerId: string): string => containerId.replaceAll('-', '').slice(0, LENGTH);

/** Where a container without a network finds itself. */
const NO_ADDRESS = '127.0.1.1';

/**
 * The text of a container's /etc/hosts: it finds itself by its host name and by its name.
 * @param address null without a network
 */
export const hostsFile = (
  { id, name }: { readonly id: string; readonly name: string },
  address: string | null,
): string => {
  const own = [hostNameOf(id), ...(name.toLowerCase() === 'localhost' ? [] : [name])];
  return [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    `${address ?? NO_ADDRESS}\t${own.join(' ')}`,
    '',
  ].join('\n');
};
