#ifndef BULKHEAD_NETWORK_H
#define BULKHEAD_NETWORK_H

/* What a container finds as /etc/resolv.conf, where it has a network. */
#define RESOLVER "/run/resolv.conf"

/* Brings `lo` up. 0 or -errno. */
int bring_up_loopback(void);
/* Gives `eth0` a hardware address, an IPv4 address of its own (/32) and a default route. 0 or -errno. */
int configure_network(const char *mac, const char *address, const char *gateway);

#endif
