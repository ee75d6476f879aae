/*
 * Commands with which tests examine a container's kernel, and for which busybox has no applet.
 *   set-attribute FILE NAME VALUE    get-attribute FILE NAME    serve-udp PORT
 *   eat MEGABYTES    fork COUNT    flood    sockets    core    inotify COUNT    ask-neighbours COUNT    modules
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* Sends every datagram back to its sender. */
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

/* Prints the number of child processes that it could create. They end with it. */
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

/* Makes a system call like a 32-bit program. The kernel uses the architecture of the call, not of the program. */
static int call_of_32_bits(int number, unsigned first, unsigned second, unsigned third, unsigned fourth) {
  int result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth)
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
}

/* Calls `socketcall`, whose arguments are in memory. */
static int socket_by_memory(int family, int kind) {
  unsigned *arguments = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (arguments == MAP_FAILED) return -1;
  arguments[0] = family;
  arguments[1] = kind;
  arguments[2] = 0;
  int result = call_of_32_bits(102, 1, (unsigned)(unsigned long)arguments, 0, 0);
  munmap(arguments, 4096);
  return result;
}

/*
 * Prints which socket families are available: to 64-bit programs, with bits set above the low 32 bits, and in both ways
 * of 32-bit programs.
 */
static int sockets(void) {
  static const int kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
  for (long family = 1; family < 46; family++) {
    int made = 0;
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
      made |= syscall(SYS_socket, family, kinds[kind], 0) >= 0 ? 1 : 0;
      made |= syscall(SYS_socket, family | 1L << 32, kinds[kind], 0) >= 0 ? 2 : 0;
      made |= socket_by_memory(family, kinds[kind]) >= 0 ? 4 : 0;
      made |= call_of_32_bits(359, family, kinds[kind], 0, 0) >= 0 ? 8 : 0;
    }
    if (made) printf("%ld:%d ", family, made);
  }
  printf("\n");
  return 0;
}

/* Whether the call reached the kernel: the filter returns ENOSYS, which the kernel never returns for these calls. */
static int is_there(long result) { return result >= 0 || errno != ENOSYS; }

/* Prints which socket protocols, packet rings and terminal line disciplines are available. */
static int modules(void) {
  static const int kinds[][2] = {{AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},     {AF_INET, SOCK_SEQPACKET},
                                 {AF_INET, SOCK_DCCP},   {AF_INET6, SOCK_STREAM},   {AF_NETLINK, SOCK_RAW}};
  for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
    printf("%d/%d:", kinds[kind][0], kinds[kind][1]);
    for (int protocol = 0; protocol < 300; protocol++) {
      int made = socket(kinds[kind][0], kinds[kind][1], protocol);
      if (is_there(made)) printf("%d,", protocol);
      if (made >= 0) close(made);
    }
    printf(" ");
  }
  struct tpacket_req ring = {4096, 1, 4096, 1};
  int packets = socket(AF_PACKET, SOCK_RAW, 0), terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY), none = 0;
  struct winsize size;
  if (packets < 0 || terminal < 0 || ioctl(terminal, TIOCGWINSZ, &size)) return fail("modules");
  for (long high = 0; high <= 1L << 32; high += 1L << 32) {
    printf("ring %d", is_there(syscall(SYS_setsockopt, packets, SOL_PACKET | high, PACKET_RX_RING, &ring, sizeof ring)));
    printf("%d ", is_there(syscall(SYS_setsockopt, packets, SOL_PACKET, PACKET_TX_RING | high, &ring, sizeof ring)));
    printf("discipline %d ", is_there(syscall(SYS_ioctl, terminal, TIOCSETD | high, &none)));
  }
  printf("uring %d\n", is_there(syscall(SYS_io_uring_setup, 1, NULL)) && errno != EPERM);
  return 0;
}

/* Lowers the core dump limit in every possible way, and prints the resulting limit. */
static int core(void) {
  struct rlimit none = {0, 0}, now = {9, 9};
  struct rlimit files = {64, 64}, files_now = {0, 0};
  int first = syscall(SYS_setrlimit, RLIMIT_CORE, &none);
  syscall(SYS_setrlimit, RLIMIT_CORE | 1L << 32, &none);
  int second = syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, NULL);
  syscall(SYS_prlimit64, 0, RLIMIT_CORE | 1L << 32, &none, NULL);
  /* Two and four words of zeros: a limit of zero for 32-bit `setrlimit` and `prlimit64`. */
  void *zeros = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (zeros == MAP_FAILED) return fail("core");
  call_of_32_bits(75, RLIMIT_CORE, (unsigned)(unsigned long)zeros, 0, 0);
  call_of_32_bits(340, 0, RLIMIT_CORE, (unsigned)(unsigned long)zeros, 0);
  syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, &now);
  syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &now);
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files_now);
  printf("%d %d %ld %ld files %ld\n", first, second, (long)now.rlim_cur, (long)now.rlim_max, (long)files_now.rlim_max);
  return 0;
}

/* Prints the number of inotify instances that it could create. Keeps them until its input ends. */
static int watch_many(int count) {
  int made = 0;
  while (made < count && inotify_init1(0) >= 0) made++;
  printf("%d %s\n", made, made < count ? strerror(errno) : "all");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}

/* Sends to that many addresses as if each were on its link, so that the kernel resolves their MAC addresses. */
static int ask_neighbours(int count) {
  int fds[64];
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
    fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5)) return fail("eth0");
  }
  int sent = 0;
  for (int i = 0; i < count; i++) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0b000000 + i)};
    sent += sendto(fds[i % 64], "x", 1, MSG_DONTROUTE, (struct sockaddr *)&to, sizeof to) == 1;
  }
  printf("sent %d\n", sent);
  return 0;
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
  if (strcmp(what, "sockets") == 0) return sockets();
  if (strcmp(what, "core") == 0) return core();
  if (strcmp(what, "modules") == 0) return modules();
  if (strcmp(what, "inotify") == 0 && count == 3) return watch_many(atoi(words[2]));
  if (strcmp(what, "ask-neighbours") == 0 && count == 3) return ask_neighbours(atoi(words[2]));
  fprintf(stderr, "probe: %s?\n", what);
  return 2;
}
