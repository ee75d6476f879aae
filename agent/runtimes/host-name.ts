const LENGTH = 12;

/** The host name of a container: the beginning of its id, as docker shows it. */
export const hostNameOf = (containerId: string): string => containerId.replaceAll('-', '').slice(0, LENGTH);
