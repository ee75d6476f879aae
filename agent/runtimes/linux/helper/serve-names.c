/*
 * serve-names router=PATH address=IPV4 -- program args...
 *
 * Opens port 53 of the address in the network namespace `router`, for UDP and TCP. Runs the program in the host's namespace with
 * the sockets as descriptors 3 and 4, and restarts it when it ends. Prints `<pid>` once the sockets are open. The program ends
 * with this process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

enum { DNS_PORT = 53, BACKLOG = 64, UDP_FD = 3, TCP_FD = 4, ATTEMPTS = 200 };
static const struct timespec PAUSE = {.tv_nsec = 20000000};

static void enter(int namespace, const char *name) {
  if (namespace < 0 || setns(namespace, CLONE_NEWNET)) die("namespace", name);
  close(namespace);
}

static int open_socket(int type, const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;
  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) die("address", text);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)) die("socket", text);
  /* The program of an earlier agent may be about to end, and uses the port until then. */
  for (int attempt = 0; bind(fd, (struct sockaddr *)&address, sizeof address); attempt++) {
    if (errno != EADDRINUSE || attempt == ATTEMPTS) die("bind", text);
    nanosleep(&PAUSE, NULL);
  }
  if (type == SOCK_STREAM && listen(fd, BACKLOG)) die("listen", text);
  /* Above the program's descriptors. */
  int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  if (high < 0) die("descriptor", text);
  close(fd);
  return high;
}

static void run(char **program, int udp, int tcp, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  if (dup2(udp, UDP_FD) < 0 || dup2(tcp, TCP_FD) < 0) die("descriptor", NULL);
  execv(program[0], program);
  die("run", program[0]);
}

int serve_names(char **arguments) {
  const char *router = argument(arguments, "router"), *address = argument(arguments, "address");
  char **program = operands(arguments);
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0) die("open", "namespace");
  enter(open(router, O_RDONLY | O_CLOEXEC), router);
  int udp = open_socket(SOCK_DGRAM, address), tcp = open_socket(SOCK_STREAM, address);
  enter(home, "of the host");
  setsid();
  prctl(PR_SET_NAME, "bh-resolver");
  printf("%d\n", getpid());
  fflush(stdout);
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  const struct timespec pause = {.tv_nsec = 200000000};
  for (pid_t self = getpid();;) {
    pid_t child = fork();
    if (child == 0) run(program, udp, tcp, self);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    nanosleep(&pause, NULL);
  }
}
