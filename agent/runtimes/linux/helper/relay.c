/*
 * relay: serves the guest's stream protocol on descriptor 3 for one process that runc starts in a container, so that the agent
 * uses one protocol for both runtime types. When its peer disconnects, it ends and kills that process.
 *
 * Fields of SPAWN: arg (the command line of runc), id, pid-file, console (the socket for the terminal, if there is one), owner,
 * open-files.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../guest/channel.h"
#include "../../../guest/streams.h"
#include "helper.h"
#include "start-by-runc.h"

/* One end of a socket pair, from the agent. */
#define CHANNEL 3
#define MOVED_CHANNEL 32

static int peer;

/*
 * Frames that arrive meanwhile, such as signals, are read afterwards. A process that has already ended stays a child of this
 * process until the main loop reaps it.
 */
static int start_here(int stream, struct fields fields, struct child *child, char *why, size_t size) {
  (void)stream;
  char **line = field_list(fields, "arg");
  const char *id = field(fields, "id"), *pid_file = field(fields, "pid-file");
  if (!line || !line[0] || !id || !pid_file) return -EINVAL;
  struct runc_start start = {.line = (const char *const *)line,
                             .pid_file = pid_file,
                             .console = field(fields, "console"),
                             .id = id,
                             .owner = field_number(fields, "owner", 0),
                             .open_files = field_number(fields, "open-files", 1024),
                             .peer = peer};
  int problem = start_by_runc(&start, child, why, size);
  free(line);
  return problem;
}

static void handle_frame(int type, int flags, int stream, const char *payload, uint32_t length) {
  if (type != FRAME_CONNECT) {
    streams_frame(type, flags, stream, payload, length);
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
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  peer = fcntl(CHANNEL, F_DUPFD_CLOEXEC, MOVED_CHANNEL);
  close(CHANNEL);
  fcntl(peer, F_SETFL, O_NONBLOCK);
  channel_open(peer, peer);
  streams_begin(start_here);
  static struct pollfd polled[2 + 3 * MAX_STREAMS];
  for (;;) {
    polled[0] = (struct pollfd){peer, POLLIN | (channel_wants_write() ? POLLOUT : 0), 0};
    polled[1] = (struct pollfd){signals, POLLIN, 0};
    if (poll(polled, streams_poll(polled, 2), -1) < 0 && errno != EINTR) return 1;
    if (polled[0].revents && !channel_read(handle_frame)) break;
    channel_flush();
    reap(signals);
    streams_move();
  }
  /* Kills all remaining processes, as a reconnect of the host does. */
  streams_connected();
  return 0;
}
