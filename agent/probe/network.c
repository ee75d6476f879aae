/* Checks which addresses answer on the network. All requests are sent at once, and answers count within one second. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define MAX_TARGETS 16
#define WAIT_MS 1000

/* Parses `a.b.c.d:port`. The port defaults to 0. */
static bool parse_address(const char *text, struct sockaddr_in *address) {
  char host[64];
  unsigned port = 0;
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  if (sscanf(text, "%63[0-9.]:%u", host, &port) < 1) return false;
  address->sin_port = htons(port);
  return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int begin_connect(const char *target) {
  struct sockaddr_in address;
  if (!parse_address(target, &address)) return -1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

static bool is_connected(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

/* Returns how many targets accepted a connection. */
static int connect_all(const char *const *targets, int count) {
  struct pollfd polled[MAX_TARGETS];
  int reached = 0;
  for (int i = 0; i < count; i++) polled[i] = (struct pollfd){begin_connect(targets[i]), POLLOUT, 0};
  for (long until = now_ms() + WAIT_MS, left; (left = until - now_ms()) > 0;) {
    int open = 0;
    if (poll(polled, count, left) <= 0) break;
    for (int i = 0; i < count; i++) {
      if (polled[i].fd >= 0 && polled[i].revents) {
        if (is_connected(polled[i].fd)) note("%s accepted", targets[i]), reached++;
        close(polled[i].fd);
        polled[i].fd = -1;
      }
      open += polled[i].fd >= 0;
    }
    if (!open) break;
  }
  for (int i = 0; i < count; i++)
    if (polled[i].fd >= 0) close(polled[i].fd);
  return reached;
}

static int collect(const char *name, const char **targets) {
  int count = 0, from = 0;
  for (const char *value; count < MAX_TARGETS && (value = next_value(&from, name));) targets[count++] = value;
  return count;
}

static void probe_connect(const char *name, const char *const *targets, int count) {
  int reached = connect_all(targets, count);
  note("%d of %d accepted", reached, count);
  report(name, !count ? "absent" : reached ? "reached" : "refused");
}

static uint16_t checksum(const void *data, size_t length) {
  const uint8_t *bytes = data;
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(~sum);
}

static int ping_all(const char *const *targets, int count) {
  struct sockaddr_in address[MAX_TARGETS];
  bool answered[MAX_TARGETS] = {false};
  int reached = 0, fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (!tried("raw socket", fd)) return 0;
  struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = htons(getpid() & 0xffff), .sequence = htons(1)}};
  echo.checksum = checksum(&echo, sizeof echo);
  for (int i = 0; i < count; i++)
    if (parse_address(targets[i], &address[i]))
      sendto(fd, &echo, sizeof echo, MSG_DONTWAIT, (struct sockaddr *)&address[i], sizeof address[i]);
  struct pollfd polled = {fd, POLLIN, 0};
  for (long until = now_ms() + WAIT_MS, left; (left = until - now_ms()) > 0 && poll(&polled, 1, left) > 0;) {
    struct {
      struct iphdr ip;
      char rest[512];
    } packet;
    ssize_t length = recv(fd, &packet, sizeof packet, MSG_DONTWAIT);
    size_t header = packet.ip.ihl * 4;
    if (length < (ssize_t)(header + sizeof echo)) continue;
    struct icmphdr reply;
    memcpy(&reply, (char *)&packet + header, sizeof reply);
    if (reply.type != ICMP_ECHOREPLY || reply.un.echo.id != echo.un.echo.id) continue;
    for (int i = 0; i < count; i++)
      if (!answered[i] && packet.ip.saddr == address[i].sin_addr.s_addr) {
        answered[i] = true;
        reached++;
        note("%s answered", targets[i]);
      }
  }
  close(fd);
  return reached;
}

static void probe_neighbours(void) {
  const char *targets[MAX_TARGETS];
  int count = collect("neighbour", targets);
  int reached = count ? ping_all(targets, count) : 0;
  note("%d of %d answered", reached, count);
  report("neighbours", !count ? "absent" : reached ? "reached" : "refused");
}

/* Sends one datagram with a source address that is not the container's. The host checks whether it arrives. */
static bool send_forged(int fd, const char *source, const char *target, const char *secret) {
  struct {
    struct iphdr ip;
    struct udphdr udp;
    char data[128];
  } packet = {0};
  struct sockaddr_in from, to;
  if (!parse_address(source, &from) || !parse_address(target, &to)) return false;
  size_t length = snprintf(packet.data, sizeof packet.data, "%s", secret);
  packet.ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .saddr = from.sin_addr.s_addr,
                             .daddr = to.sin_addr.s_addr, .tot_len = htons(sizeof packet.ip + sizeof packet.udp + length)};
  packet.udp = (struct udphdr){.source = htons(9), .dest = to.sin_port, .len = htons(sizeof packet.udp + length)};
  size_t size = sizeof packet.ip + sizeof packet.udp + length;
  return sendto(fd, &packet, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) == (ssize_t)size;
}

static void probe_forged(void) {
  const char *targets[MAX_TARGETS], *sources[MAX_TARGETS], *secret = value_of("secret");
  int count = collect("host", targets), from = collect("forged-source", sources), sent = 0;
  if (!count || !from || !secret) return report("forged-source", "absent");
  int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (!tried("raw socket", fd)) return report("forged-source", "refused");
  for (int i = 0; i < count; i++)
    for (int j = 0; j < from; j++) sent += send_forged(fd, sources[j], targets[i], secret);
  close(fd);
  note("%d datagrams sent", sent);
  report("forged-source", sent ? "measured" : "refused");
}

void probe_network(void) {
  const char *targets[MAX_TARGETS];
  probe_connect("metadata", targets, collect("metadata", targets));
  probe_connect("host-services", targets, collect("host", targets));
  probe_neighbours();
  probe_forged();
}
