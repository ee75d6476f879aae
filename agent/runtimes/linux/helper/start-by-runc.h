/* Starts processes of Default containers. */
#ifndef BULKHEAD_START_BY_RUNC_H
#define BULKHEAD_START_BY_RUNC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "../../../guest/spawn.h"

struct runc_start {
  /* The command line of runc, without the arguments below. runc must detach. */
  const char *const *line;
  /* runc writes the pid to this file. */
  const char *pid_file;
  /* Socket for the terminal; null for pipes. */
  const char *console;
  /* The last argument of runc: the container's id. */
  const char *id;
  /* The id on this machine of the container's root, which owns the pipes. */
  uid_t owner;
  /* Limit of open files. runc passes its limits on; it could set them only with CAP_SYS_RESOURCE. */
  rlim_t open_files;
  /* If this descriptor's peer disconnects, the start is cancelled and this process ends; -1 for none. */
  int peer;
};

/*
 * Runs runc and waits until the program of the process runs. Returns 0 and fills `child`. Otherwise returns a START value
 * (protocol.h) and writes the reason to `why`, which is empty if runc's log has it.
 *
 * The process runs `run-program` of a sealed copy of this program (descriptor 3), which then runs the program. runc can report
 * a failure of its own only as text, and writes some to the container's output.
 */
int start_by_runc(const struct runc_start *start, struct child *child, char *why, size_t size);

#endif
