/* uname-in pid=N: prints the kernel release that a process in N's namespaces sees. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "helper.h"

int uname_in(char **arguments) {
  int process = syscall(SYS_pidfd_open, atoi(argument(arguments, "pid")), 0);
  struct utsname names;
  if (process < 0 || setns(process, CLONE_NEWUTS | CLONE_NEWPID)) die("namespaces", NULL);
  if (uname(&names)) die("uname", NULL);
  printf("%s\n", names.release);
  return 0;
}
