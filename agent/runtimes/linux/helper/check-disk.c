/*
 * check-disk uid=N file=FILE -- program args...
 *   Runs a program that reads a file system which hostile code may have written, with /proc/self/fd/3 as its name. The
 *   file is given to user N, and the program runs as that user: without capabilities or network, with limits of
 *   memory, time and size.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

#define DISK_FD 3
#define MEMORY_BYTES (1L << 30)
#define CPU_SECONDS 120

static void limit(int resource, rlim_t value) {
  struct rlimit both = {value, value};
  if (setrlimit(resource, &both)) die("limit", NULL);
}

int check_disk(char **arguments) {
  const char *path = argument(arguments, "file");
  char **program = operands(arguments);
  uid_t uid = strtoul(argument(arguments, "uid"), NULL, 10);
  int disk = open(path, O_RDWR | O_NOFOLLOW);
  struct stat info;
  if (uid == 0) {
    errno = EINVAL;
    die("uid", NULL);
  }
  if (disk < 0 || fstat(disk, &info) || !S_ISREG(info.st_mode) || fchown(disk, uid, uid)) die("open", path);
  if (disk != DISK_FD && dup2(disk, DISK_FD) < 0) die("descriptor", path);
  close_range(DISK_FD + 1, ~0U, 0);
  if (unshare(CLONE_NEWNET | CLONE_NEWIPC) || chdir("/")) die("namespace", NULL);
  limit(RLIMIT_AS, MEMORY_BYTES);
  limit(RLIMIT_CPU, CPU_SECONDS);
  limit(RLIMIT_FSIZE, info.st_size);
  limit(RLIMIT_CORE, 0);
  drop_privileges(uid);
  execvp(program[0], program);
  die("run", program[0]);
}
