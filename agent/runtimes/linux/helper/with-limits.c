/*
 * with-limits open-files=N -- COMMAND…: runs the command with the limits of a container's processes.
 *
 * runc passes its own limits on. It could set them itself only if it had created the container's user namespace, or
 * with CAP_SYS_RESOURCE.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "helper.h"

/* A limit of one byte keeps a crash from starting the host's core dump handler; a limit of zero does not: core(5). */
#define CORE_BYTES 1

void limit_process(char **arguments) {
  rlim_t files = strtoul(argument(arguments, "open-files"), NULL, 10);
  if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){files, files})) die("limit", "open files");
  if (setrlimit(RLIMIT_CORE, &(struct rlimit){CORE_BYTES, CORE_BYTES})) die("limit", "core dumps");
}

int with_limits(char **arguments) {
  limit_process(arguments);
  char **command = operands(arguments);
  execv(command[0], command);
  die("cannot run", command[0]);
}
