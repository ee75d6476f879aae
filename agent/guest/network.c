#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ifreq request_for(const char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  return request;
}

static int set_up(int fd, const char *name) {
  struct ifreq request = request_for(name);
  if (ioctl(fd, SIOCGIFFLAGS, &request)) return -1;
  request.ifr_flags |= IFF_UP;
  return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int set_address(int fd, unsigned long what, const char *name, const char *text) {
  struct ifreq request = request_for(name);
  struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;
  address->sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &address->sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  return ioctl(fd, what, &request);
}

static int set_hardware_address(int fd, const char *name, const char *text) {
  struct ifreq request = request_for(name);
  unsigned byte[6];
  if (sscanf(text, "%x:%x:%x:%x:%x:%x", byte, byte + 1, byte + 2, byte + 3, byte + 4, byte + 5) != 6) {
    errno = EINVAL;
    return -1;
  }
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  for (int i = 0; i < 6; i++) request.ifr_hwaddr.sa_data[i] = byte[i];
  return ioctl(fd, SIOCSIFHWADDR, &request);
}

static int add_route(int fd, const char *to, const char *mask, const char *gateway, const char *device) {
  struct rtentry route;
  memset(&route, 0, sizeof route);
  struct sockaddr_in *destination = (struct sockaddr_in *)&route.rt_dst;
  struct sockaddr_in *netmask = (struct sockaddr_in *)&route.rt_genmask;
  struct sockaddr_in *via = (struct sockaddr_in *)&route.rt_gateway;
  destination->sin_family = netmask->sin_family = via->sin_family = AF_INET;
  inet_pton(AF_INET, to, &destination->sin_addr);
  inet_pton(AF_INET, mask, &netmask->sin_addr);
  route.rt_flags = RTF_UP;
  if (gateway) {
    inet_pton(AF_INET, gateway, &via->sin_addr);
    route.rt_flags |= RTF_GATEWAY;
  }
  route.rt_dev = (char *)device;
  /* An existing route is from an earlier endpoint, and identical. */
  return ioctl(fd, SIOCADDRT, &route) && errno != EEXIST ? -1 : 0;
}

int bring_up_loopback(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int result = fd < 0 || set_up(fd, "lo") ? -errno : 0;
  if (fd >= 0) close(fd);
  return result;
}

/* The gateway needs a separate route, because the address is a /32: no other machine shares the link. */
int configure_network(const char *mac, const char *address, const char *gateway) {
  if (!mac || !address || !gateway) return -EINVAL;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int failed = set_hardware_address(fd, "eth0", mac) || set_address(fd, SIOCSIFADDR, "eth0", address) ||
               set_address(fd, SIOCSIFNETMASK, "eth0", "255.255.255.255") || set_up(fd, "eth0") ||
               add_route(fd, gateway, "255.255.255.255", NULL, "eth0") ||
               add_route(fd, "0.0.0.0", "0.0.0.0", gateway, "eth0");
  int result = failed ? -errno : 0;
  close(fd);
  return result;
}
