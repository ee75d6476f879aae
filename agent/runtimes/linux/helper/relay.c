/*
 * relay: serves the guest's stream protocol on descriptor 3 for processes on this machine, so that the agent uses one protocol
 * for terminals of both runtime types. When its peer disconnects, it ends and kills the processes that it has started.
 *
 * A SPAWN with the field `pid-file` runs a starter (`runc exec --detach`), which starts the process, writes its pid to the file
 * and ends. The stream is then assigned to the process. A starter that did not end would wait until all processes close the
 * output, and signals would reach the starter instead of the process. Signals that arrive earlier are held for the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../guest/channel.h"
#include "../../../guest/streams.h"
#include "helper.h"

/* One end of a socket pair, from the agent. */
#define CHANNEL 3

static char pid_file[PATH_MAX];
static pid_t starter;
static int starter_stream;
/* Bit n - 1 is set for signal n. */
static uint64_t held_signals;
/* Processes that ended before their pid was known to belong to a stream. */
static struct {
  pid_t pid;
  int status;
} early[16];
static int early_count;

static int start_here(int stream, struct fields fields, struct child *child, char *why, size_t size) {
  int problem = spawn_child(fields, PLACE_HERE, -1, child, why, size);
  const char *file = field(fields, "pid-file");
  if (problem || !file || strlen(file) >= sizeof pid_file) return problem;
  strcpy(pid_file, file);
  starter = child->pid;
  starter_stream = stream;
  held_signals = 0;
  return 0;
}

static bool hold_signal(int type, int stream, const char *payload, uint32_t length) {
  if (type != FRAME_SIGNAL || !starter || stream != starter_stream) return false;
  int number = length > 0 ? (unsigned char)payload[0] : 0;
  if (number >= 1 && number <= 64) held_signals |= UINT64_C(1) << (number - 1);
  return true;
}

static void send_held_signals(void) {
  for (int number = 1; number <= 64; number++) {
    char payload = (char)number;
    if (held_signals & UINT64_C(1) << (number - 1)) streams_frame(FRAME_SIGNAL, starter_stream, &payload, 1);
  }
  held_signals = 0;
}

static void handle_frame(int type, int flags, int stream, const char *payload, uint32_t length) {
  (void)flags;
  if (type != FRAME_CONNECT) {
    if (!hold_signal(type, stream, payload, length)) streams_frame(type, stream, payload, length);
    return;
  }
  streams_connected();
  channel_send(FRAME_HELLO, 0, 0, payload, length);
}

static pid_t started_process(void) {
  int pid = 0;
  FILE *file = fopen(pid_file, "re");
  if (file && fscanf(file, "%d", &pid) != 1) pid = 0;
  if (file) fclose(file);
  return pid;
}

/* Returns false if the starter failed, so that its exit ends the stream. */
static bool hand_over(int status) {
  pid_t from = starter, to = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? started_process() : 0;
  starter = 0;
  if (to <= 0) return false;
  streams_hand_over(from, to);
  for (int i = 0; i < early_count; i++)
    if (early[i].pid == to) streams_child_ended(to, early[i].status);
  send_held_signals();
  return true;
}

static void child_ended(pid_t pid, int status) {
  if (pid == starter && hand_over(status)) return;
  if (starter && pid != starter && early_count < (int)(sizeof early / sizeof *early)) {
    early[early_count].pid = pid;
    early[early_count++].status = status;
  }
  streams_child_ended(pid, status);
}

static void reap(int signals) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) > 0) {
  }
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) child_ended(pid, status);
}

int relay(char **arguments) {
  (void)arguments;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  /* Processes would inherit the agent's umask, which denies access to other users. */
  umask(022);
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
  /* Kills all remaining processes, as a reconnect of the host does. */
  streams_connected();
  return 0;
}
