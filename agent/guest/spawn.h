/* Starts one process in the container, with pipes or a terminal. */
#ifndef BULKHEAD_SPAWN_H
#define BULKHEAD_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "protocol.h"

struct child {
  pid_t pid;
  /* This process's ends of the pipes; -1 where there is none. With a terminal, `in` and `out` are the same. */
  int in, out, err;
  bool tty;
};

/* Where the container's root file system is mounted. */
#define ROOT_DIRECTORY "/newroot"
#define CONTAINER_CGROUP "/sys/fs/cgroup/container"

/* Where the process starts. */
enum place {
  PLACE_NEW_CONTAINER,  /* as the first process of new namespaces over ROOT_DIRECTORY */
  PLACE_IN_CONTAINER    /* in addition to the first process of the container */
};

/*
 * Fields: arg (repeatable), env (repeatable), cwd, user, tty, rows, columns, hostname, hosts (the text of
 * /etc/hosts), memory (bytes), pids, open-files,
 * and mask and read-only (see mask.h). With the field `probe`, this program runs with the
 * arguments in `arg`, instead of a program of the container.
 * Returns 0 and fills `child` once the program runs. Otherwise returns -errno or a START value (protocol.h) and writes the
 * reason as text to `why`.
 */
int spawn_child(struct fields fields, enum place place, pid_t container, struct child *child, char *why, size_t size);

#endif
