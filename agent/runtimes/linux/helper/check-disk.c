/*
 * check-disk uid=N file=FILE -- program args...
 *   Runs a program that reads a file system that hostile code may have written, and exits with its exit code. User N becomes the
 *   owner of the file. The program runs as that user, without capabilities or network, and with limits on memory, time, file size
 *   and processes. Its root directory has /usr (read-only), /dev/null, and the file as /disk.
 *
 * There are three processes. This process waits for its child. The child is process 1 of a pid namespace and waits for the
 * program, which is the second process there. When the program ends, process 1 ends, and the kernel kills all processes that the
 * program has started. Process 1 ends with this process, and this process ends with the agent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "jail.h"

#define MEMORY_BYTES (1L << 30)
#define CPU_SECONDS 120
/* e2fsck reads bitmaps in parallel, with at most one thread per processor. */
#define PROCESSES 64
#define SIGNAL_BASE 128
/* A mount point that exists on every system. It is covered in this process's mount namespace only. */
#define JAIL "/run"

static void limit(int resource, rlim_t value) {
  struct rlimit both = {value, value};
  if (setrlimit(resource, &both)) die("limit", NULL);
}

static void make_file(const char *name) {
  int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) die("jail", name);
  close(fd);
}

/* Returns the size of the disk. */
static off_t enter_jail(const char *path, uid_t uid) {
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("namespace", NULL);
  int disk = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  struct stat info;
  if (disk < 0 || fstat(disk, &info) || !S_ISREG(info.st_mode) || fchown(disk, uid, uid)) die("open", path);
  open_jail(JAIL);
  bind_programs();
  if (mkdir("dev", 0755)) die("jail", "dev");
  make_device("dev/null", 1, 3);
  /* e2fsck reads the mounted file systems from it. */
  if (mkdir("etc", 0755)) die("jail", "etc");
  make_file("etc/mtab");
  make_file("disk");
  char opened[64];
  snprintf(opened, sizeof opened, "/proc/self/fd/%d", disk);
  if (mount(opened, "disk", NULL, MS_BIND, NULL) ||
      mount(NULL, "disk", NULL, MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
    die("jail", path);
  close_jail();
  close(disk);
  return info.st_size;
}

/* Returns the exit code of the child, with 128 + signal as in a shell. */
static int wait_for(pid_t child) {
  int status;
  for (;;) {
    pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno != EINTR) die("wait", NULL);
    if (ended == child) return WIFSIGNALED(status) ? SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

static pid_t fork_or_die(void) {
  pid_t child = fork();
  if (child < 0) die("fork", NULL);
  return child;
}

/* The signal is not sent if the parent ended before the prctl call. In that case the pipe's other end is closed. */
static void end_with_parent(int parent) {
  struct pollfd hangup = {.fd = parent};
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || poll(&hangup, 1, 0) < 0) die("parent", NULL);
  if (hangup.revents) _exit(1);
}

static _Noreturn void run_program(char **program, uid_t uid, off_t size) {
  limit(RLIMIT_AS, MEMORY_BYTES);
  limit(RLIMIT_CPU, CPU_SECONDS);
  limit(RLIMIT_FSIZE, size);
  limit(RLIMIT_NPROC, PROCESSES);
  limit(RLIMIT_CORE, 0);
  drop_privileges(uid);
  char *const environment[] = {"PATH=/usr/sbin:/usr/bin", "LC_ALL=C", NULL};
  close_range(3, ~0U, 0);
  execvpe(program[0], program, environment);
  die("run", program[0]);
}

int check_disk(char **arguments) {
  char **program = operands(arguments);
  uid_t uid = strtoul(argument(arguments, "uid"), NULL, 10);
  int alive[2];
  if (uid == 0) {
    errno = EINVAL;
    die("uid", NULL);
  }
  if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die("parent", NULL);
  /* The program runs as another user and must be able to read the files of its jail. */
  umask(022);
  off_t size = enter_jail(argument(arguments, "file"), uid);
  if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID) || pipe2(alive, O_CLOEXEC)) die("namespace", NULL);
  pid_t first = fork_or_die();
  if (first > 0) return wait_for(first);
  close(alive[1]);
  end_with_parent(alive[0]);
  pid_t checker = fork_or_die();
  if (checker == 0) run_program(program, uid, size);
  _exit(wait_for(checker));
}
