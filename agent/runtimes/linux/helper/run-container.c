/*
 * run-container runc=PATH state=DIR id=ID bundle=DIR run=DIR log=FILE exit=FILE owner=N open-files=N [oom=FILE] [tty=1] [no-input=1]
 *
 * Supervises a process-isolated container while its main process runs, even if the agent ends. Writes its output to a bounded
 * log and its exit to a file, and accepts clients at RUN/attach.sock. Prints the main process's pid once it runs; the file
 * RUN/started has that time. `oom` is the file in which the container's cgroup counts its kills. `owner` is the id on this
 * machine of the container's root. Ends when the main process has ended and its output is read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "helper.h"
#include "log.h"
#include "start-by-runc.h"

/* Other processes of the container may keep the output open, which must not delay the exit. */
#define LATE_OUTPUT_MS 100
#define EXIT_BYTES 256
/* Exit codes for a program that does not exist or cannot be executed, with the reason on stderr. */
#define NOT_FOUND 5
#define NOT_EXECUTABLE 6

/* The container's root can open its end for reading too, and take data between this process's poll and read. */
static void never_wait(int fd) {
  if (fcntl(fd, F_SETFL, O_NONBLOCK)) die("output", NULL);
}

/* Starts the main process, or ends with the reason on stderr. The agent reads runc's log if there is none. */
static struct child start_main(char **arguments, const char *run, int tty) {
  char *log = join_path(run, "runc.log"), why[512];
  unlink(log);
  const char *line[] = {argument(arguments, "runc"), "--root", argument(arguments, "state"), "--log", log, "run", "--bundle",
                        argument(arguments, "bundle"), NULL};
  struct runc_start start = {.line = line,
                             .pid_file = join_path(run, "pid"),
                             .console = tty ? join_path(run, "console.sock") : NULL,
                             .id = argument(arguments, "id"),
                             .owner = strtoul(argument(arguments, "owner"), NULL, 10),
                             .open_files = strtoul(argument(arguments, "open-files"), NULL, 10),
                             .peer = -1};
  struct child child;
  int problem = start_by_runc(&start, &child, why, sizeof why);
  if (!problem) return child;
  fprintf(stderr, "%s", why);
  exit(problem == START_NOT_FOUND ? NOT_FOUND : problem == START_NOT_EXECUTABLE ? NOT_EXECUTABLE : 1);
}

/* Returns false at the end of the output. */
static int move_output(int source, int *fd) {
  static char data[65536];
  ssize_t got = read(*fd, data, attach_paced() ? PACED_READ_BYTES : sizeof data);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
  if (got > 0) {
    attach_logged(log_write(source, data, got));
    attach_output(source, data, got);
    return 1;
  }
  close(*fd);
  *fd = -1;
  return 0;
}

static int reap(int signals, pid_t main_pid, int *status) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) > 0) {
  }
  int ended = 0, one;
  for (pid_t pid; (pid = waitpid(-1, &one, WNOHANG)) > 0;)
    if (pid == main_pid) {
      *status = one;
      ended = 1;
    }
  return ended;
}

static int follow(pid_t main_pid, int signals, int out, int err) {
  int status = 0, ended = 0;
  for (;;) {
    int wait_ms = ended ? LATE_OUTPUT_MS : log_waits() ? LOG_PAUSE_MS : -1;
    /* An ended process waits for no client. */
    bool held = !ended && attach_holds(&wait_ms);
    struct pollfd polled[3 + ATTACH_POLLED] = {{signals, POLLIN, 0}, {held ? -1 : out, POLLIN, 0}, {held ? -1 : err, POLLIN, 0}};
    int ready = poll(polled, attach_poll(polled, 3), wait_ms);
    if (ready == 0) log_pause();
    if (out >= 0 && polled[1].revents) move_output(0, &out);
    if (err >= 0 && polled[2].revents) move_output(1, &err);
    attach_move();
    if (polled[0].revents && reap(signals, main_pid, &status)) ended = 1;
    if (ended && (ready == 0 || (out < 0 && err < 0))) return status;
  }
}

/* Whether the kernel has killed a process of the container because memory ran out: `oom_kill N` in cgroup v1 and v2. */
static int ran_out_of_memory(const char *path) {
  char line[128];
  long kills = 0;
  FILE *file = path ? fopen(path, "re") : NULL;
  while (file && kills == 0 && fgets(line, sizeof line, file)) sscanf(line, "oom_kill %ld", &kills);
  if (file) fclose(file);
  return kills > 0;
}

/* Creates the file for the exit and allocates its disk space, so that the exit can be recorded on a full disk. */
static FILE *prepare_exit(const char *partial) {
  FILE *file = fopen(partial, "we");
  if (!file) die("exit", partial);
  if ((errno = posix_fallocate(fileno(file), 0, EXIT_BYTES))) die("exit", partial);
  return file;
}

/* An exit record of version 1: `ExitFormat` in container/records.ts. */
static void record_exit(FILE *file, const char *partial, const char *path, int status, const char *oom) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  int code = signal_number ? 128 + signal_number : WEXITSTATUS(status);
  fprintf(file, "{\"version\":1,\"exitCode\":%d,\"signal\":%d,\"endedAtMs\":%lld%s}\n", code, signal_number,
          (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000,
          code == 128 + SIGKILL && ran_out_of_memory(oom) ? ",\"outOfMemory\":true" : "");
  if (fflush(file) || ftruncate(fileno(file), ftell(file)) || fsync(fileno(file)) || fclose(file) || rename(partial, path))
    die("exit", path);
}

int run_container(char **arguments) {
  const char *run = argument(arguments, "run"), *exit_path = argument(arguments, "exit");
  int tty = optional_argument(arguments, "tty") != NULL;
  setsid();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "bh-container");
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  log_open(argument(arguments, "log"));
  char *partial = NULL;
  if (asprintf(&partial, "%s.new", exit_path) < 0) die("memory", NULL);
  FILE *exit_file = prepare_exit(partial);
  struct child child_process = start_main(arguments, run, tty);
  pid_t main_pid = child_process.pid;
  int out = child_process.out, err = child_process.err;
  if (!tty) {
    never_wait(out);
    never_wait(err);
  }
  if (!tty && optional_argument(arguments, "no-input")) {
    /* The process reads the end of its input. Input of clients is dropped. */
    close(child_process.in);
    child_process.in = open("/dev/null", O_WRONLY | O_CLOEXEC);
  }
  char *door = join_path(run, "attach.sock");
  attach_open(door, tty ? fcntl(out, F_DUPFD_CLOEXEC, 3) : child_process.in, tty);
  printf("%d\n", main_pid);
  fflush(stdout);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, 0);
  dup2(null, 1);
  dup2(null, 2);
  int status = follow(main_pid, signals, out, err);
  log_pause();
  attach_close(door);
  record_exit(exit_file, partial, exit_path, status, optional_argument(arguments, "oom"));
  return 0;
}
