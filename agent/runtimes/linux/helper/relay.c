/*
 * relay: serves the guest's stream protocol on descriptor 3 for processes of this machine, so that the agent
 * has one way to drive a terminal, whatever is behind it. Ends, and with it what it started, when its peer goes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../guest/channel.h"
#include "../../../guest/streams.h"
#include "helper.h"

/* Where the agent has put its end of a socket pair. */
#define CHANNEL 3

static int start_here(int stream, struct fields fields, struct child *child, char *why, size_t size) {
  (void)stream;
  return spawn_child(fields, PLACE_HERE, -1, child, why, size);
}

static void handle_frame(int type, int flags, int stream, const char *payload, uint32_t length) {
  (void)flags;
  if (type != FRAME_CONNECT) {
    streams_frame(type, stream, payload, length);
    return;
  }
  streams_connected();
  channel_send(FRAME_HELLO, 0, 0, payload, length);
}

static void reap(int signals) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) > 0) {
  }
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) streams_child_ended(pid, status);
}

int relay(char **arguments) {
  (void)arguments;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);
  fcntl(CHANNEL, F_SETFL, O_NONBLOCK);
  channel_open(CHANNEL, CHANNEL);
  streams_begin(start_here);
  static struct pollfd polled[2 + 3 * MAX_STREAMS];
  for (;;) {
    polled[0] = (struct pollfd){CHANNEL, POLLIN | (channel_wants_write() ? POLLOUT : 0), 0};
    polled[1] = (struct pollfd){signals, POLLIN, 0};
    if (poll(polled, streams_poll(polled, 2), -1) < 0 && errno != EINTR) return 1;
    if (polled[0].revents && !channel_read(handle_frame)) break;
    channel_flush();
    reap(signals);
    streams_move();
  }
  /* Whatever still runs is killed as it would be if the host's connection were made anew. */
  streams_connected();
  return 0;
}
