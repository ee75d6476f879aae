/*
 * What tests ask of a container's kernel and busybox has no applet for.
 *   set-attribute FILE NAME VALUE    get-attribute FILE NAME    serve-udp PORT
 *   eat MEGABYTES    fork COUNT    flood
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int get_attribute(const char *file, const char *name) {
  char value[4096];
  ssize_t length = lgetxattr(file, name, value, sizeof value);
  if (length < 0) return fail(name);
  for (ssize_t i = 0; i < length; i++) printf("%02x", (unsigned char)value[i]);
  printf("\n");
  return 0;
}

/* Sends every datagram back. */
static int serve_udp(int port) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)}, peer;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own)) return fail("udp");
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    char data[1500];
    socklen_t size = sizeof peer;
    ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&peer, &size);
    if (got >= 0) sendto(fd, data, got, 0, (struct sockaddr *)&peer, size);
  }
}

static int eat(long megabytes) {
  for (long i = 0; i < megabytes; i++) {
    char *piece = malloc(1 << 20);
    if (!piece) return fail("memory");
    memset(piece, i + 1, 1 << 20);
  }
  printf("ate %ld\n", megabytes);
  return 0;
}

/* Says how many processes it got beside itself; they end with it. */
static int fork_many(int count) {
  int made = 0;
  for (; made < count; made++) {
    pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      pause();
      _exit(0);
    }
  }
  printf("%d %s\n", made, made < count ? strerror(errno) : "all");
  return 0;
}

static int flood(void) {
  static char data[65536];
  memset(data, 'x', sizeof data);
  for (;;)
    if (write(1, data, sizeof data) < 0) return fail("flood");
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (strcmp(what, "set-attribute") == 0 && count == 5)
    return setxattr(words[2], words[3], words[4], strlen(words[4]), 0) ? fail(words[3]) : 0;
  if (strcmp(what, "get-attribute") == 0 && count == 4) return get_attribute(words[2], words[3]);
  if (strcmp(what, "serve-udp") == 0 && count == 3) return serve_udp(atoi(words[2]));
  if (strcmp(what, "eat") == 0 && count == 3) return eat(atol(words[2]));
  if (strcmp(what, "fork") == 0 && count == 3) return fork_many(atoi(words[2]));
  if (strcmp(what, "flood") == 0) return flood();
  fprintf(stderr, "probe: %s?\n", what);
  return 2;
}
