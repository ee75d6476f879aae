#define _GNU_SOURCE
#include "start-by-runc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../guest/program.h"
#include "../../../guest/sealed.h"
#include "helper.h"

/* Descriptors of the process until its program runs: this program, and the pipe for the reason of a failure. */
#define PROGRAM 3
#define FAILURE 4
#define PASSED "2"
/* Descriptors that are passed on are first moved out of the way of each other. */
#define ASIDE 16
#define MAX_LINE 24
/* A limit of one byte keeps a crash from starting the host's core dump handler; a limit of zero does not: core(5). */
#define CORE_BYTES 1

struct ends {
  int in[2], out[2], err[2], failure[2], program, listener;
};

int run_program_command(char **arguments) {
  fcntl(PROGRAM, F_SETFD, FD_CLOEXEC);
  fcntl(FAILURE, F_SETFD, FD_CLOEXEC);
  run_program(FAILURE, arguments, environ);
}

static int listen_for_console(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    die("console", path);
  }
  strcpy(address.sun_path, path);
  unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1)) die("console", path);
  return fd;
}

/* runc sends the terminal's other end over the socket (SCM_RIGHTS). */
static int receive_terminal(int listener) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  char name[256], control[CMSG_SPACE(sizeof(int))];
  struct iovec data = {name, sizeof name};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (connection < 0 || recvmsg(connection, &message, MSG_CMSG_CLOEXEC) <= 0) die("console", NULL);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_type != SCM_RIGHTS) die("console", NULL);
  int terminal;
  memcpy(&terminal, CMSG_DATA(header), sizeof terminal);
  close(connection);
  return terminal;
}

static int aside(int fd) {
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, ASIDE);
  if (moved < 0) die("descriptor", NULL);
  close(fd);
  return moved;
}

/* The pipes are owned by the container's root, so that its processes can reopen them through /dev, and runc can pass them on. */
static struct ends open_ends(const struct runc_start *start) {
  struct ends ends = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, sealed_copy("/proc/self/exe"), -1};
  if (ends.program < 0) die("program", NULL);
  if (pipe2(ends.failure, O_CLOEXEC)) die("pipe", NULL);
  ends.program = aside(ends.program);
  ends.failure[1] = aside(ends.failure[1]);
  if (start->console) {
    ends.listener = listen_for_console(start->console);
    return ends;
  }
  if (pipe2(ends.in, O_CLOEXEC) || pipe2(ends.out, O_CLOEXEC) || pipe2(ends.err, O_CLOEXEC)) die("pipe", NULL);
  uid_t owner = start->owner;
  if (fchown(ends.in[0], owner, owner) || fchown(ends.out[1], owner, owner) || fchown(ends.err[1], owner, owner))
    die("owner of", "pipes");
  return ends;
}

static void set_limit(int resource, rlim_t most, const char *name) {
  if (setrlimit(resource, &(struct rlimit){most, most})) die("limit", name);
}

_Noreturn static void become_runc(const struct runc_start *start, const struct ends *ends) {
  const char *line[MAX_LINE];
  int count = 0;
  for (; start->line[count]; count++) line[count] = start->line[count];
  line[count++] = "--detach";
  line[count++] = "--preserve-fds";
  line[count++] = PASSED;
  line[count++] = "--pid-file";
  line[count++] = start->pid_file;
  if (start->console) {
    line[count++] = "--console-socket";
    line[count++] = start->console;
  }
  line[count++] = start->id;
  line[count] = NULL;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  set_limit(RLIMIT_NOFILE, start->open_files, "open files");
  set_limit(RLIMIT_CORE, CORE_BYTES, "core dumps");
  /* runc creates a missing working directory and mount points, which every user of the container must be able to traverse. */
  umask(022);
  int null = aside(open("/dev/null", O_RDWR | O_CLOEXEC));
  dup2(ends->in[0] >= 0 ? ends->in[0] : null, 0);
  dup2(ends->out[1] >= 0 ? ends->out[1] : null, 1);
  dup2(ends->err[1] >= 0 ? ends->err[1] : null, 2);
  dup2(ends->program, PROGRAM);
  dup2(ends->failure[1], FAILURE);
  execv(line[0], (char *const *)line);
  _exit(127);
}

static pid_t read_pid(const char *path) {
  FILE *file = fopen(path, "re");
  int pid = -1;
  if (file && fscanf(file, "%d", &pid) != 1) pid = -1;
  if (file) fclose(file);
  return pid;
}

/* Waits until the descriptor is ready. If the peer disconnects first, ends runc and its process, and this process. */
static void wait_or_cancel(int fd, const struct runc_start *start, pid_t runc) {
  struct pollfd polled[2] = {{fd, POLLIN, 0}, {start->peer, POLLRDHUP, 0}};
  while (poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
  if (polled[0].revents || !polled[1].revents) return;
  if (kill(runc, SIGKILL) == 0) waitpid(runc, NULL, 0);
  pid_t pid = read_pid(start->pid_file);
  if (pid > 0) kill(pid, SIGKILL);
  exit(1);
}

/* Returns whether runc has succeeded. */
static int wait_for_runc(const struct runc_start *start, pid_t runc) {
  int handle = syscall(SYS_pidfd_open, runc, 0), status = 0;
  if (handle >= 0) wait_or_cancel(handle, start, runc);
  close(handle);
  while (waitpid(runc, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void close_if(int fd) {
  if (fd >= 0) close(fd);
}

static int outcome(const struct runc_start *start, struct ends *ends, pid_t runc, struct child *child, char *why, size_t size) {
  if (!wait_for_runc(start, runc)) return START_FAILED;
  int terminal = start->console ? receive_terminal(ends->listener) : -1;
  pid_t pid = read_pid(start->pid_file);
  *child = start->console ? (struct child){pid, terminal, terminal, -1, true}
                          : (struct child){pid, ends->in[1], ends->out[0], ends->err[0], false};
  if (pid <= 0) return START_FAILED;
  wait_or_cancel(ends->failure[0], start, runc);
  int problem = read_start_failure(ends->failure[0], why, size);
  if (!problem) return 0;
  close_if(terminal);
  waitpid(pid, NULL, 0);
  return problem;
}

int start_by_runc(const struct runc_start *start, struct child *child, char *why, size_t size) {
  struct ends ends = open_ends(start);
  why[0] = 0;
  pid_t runc = fork();
  if (runc < 0) die("fork", NULL);
  if (runc == 0) become_runc(start, &ends);
  close_if(ends.in[0]);
  close_if(ends.out[1]);
  close_if(ends.err[1]);
  close(ends.failure[1]);
  close(ends.program);
  int problem = outcome(start, &ends, runc, child, why, size);
  close(ends.failure[0]);
  close_if(ends.listener);
  if (start->console) unlink(start->console);
  if (!problem) return 0;
  close_if(ends.in[1]);
  close_if(ends.out[0]);
  close_if(ends.err[0]);
  return problem;
}
