/* send-frame INTERFACE HEX... : sends each frame unchanged. A frame starts with the destination's MAC address. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int count, char **words) {
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (count < 3 || fd < 0) return perror("packet socket"), 1;
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(words[1]), .sll_halen = 6};
  for (int i = 2; i < count; i++) {
    unsigned char frame[2048];
    size_t length = 0;
    for (unsigned byte; length < sizeof frame && sscanf(words[i] + 2 * length, "%2x", &byte) == 1;) frame[length++] = byte;
    if (sendto(fd, frame, length, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)length) return perror("send"), 1;
  }
  return 0;
}
