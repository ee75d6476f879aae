#ifndef BULKHEAD_NETWORK_H
#define BULKHEAD_NETWORK_H

#include "root_files.h"

/* Mounted as /etc/resolv.conf in a container that has a network. */
#define RESOLVER ROOT_FILES "/resolv.conf"

/* Brings `lo` up. Returns 0 or -errno. */
int bring_up_loopback(void);
/* Configures `eth0` with a hardware address, an IPv4 address (/32) and a default route. Returns 0 or -errno. */
int configure_network(const char *mac, const char *address, const char *gateway);

#endif
