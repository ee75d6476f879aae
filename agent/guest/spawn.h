/* Starts one process of the container, or any process of this machine, with pipes or a terminal. */
#ifndef BULKHEAD_SPAWN_H
#define BULKHEAD_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "protocol.h"

struct child {
  pid_t pid;
  /* Of this side; -1 where there is none. With a terminal, `in` and `out` are the same. */
  int in, out, err;
  bool tty;
};

/* Where the container's root file system is mounted. */
#define ROOT_DIRECTORY "/newroot"
#define CONTAINER_CGROUP "/sys/fs/cgroup/container"

/* In which surroundings the process starts. */
enum place {
  PLACE_HERE,           /* as a child of this process, nothing changed */
  PLACE_NEW_CONTAINER,  /* as the first process of new namespaces over ROOT_DIRECTORY */
  PLACE_IN_CONTAINER    /* beside the first process of the container */
};

/*
 * Fields: arg (several), env (several), cwd, user, tty, rows, columns, hostname, memory (bytes), pids, open-files,
 * owner (an id, of the pipes); as mask.h has them: mask, read-only. With the field `probe` this program runs, as `arg`
 * says, and none of the container's.
 * Returns 0 and fills `child` once the program runs; else -errno, with the reason in words in `why`.
 */
int spawn_child(struct fields fields, enum place place, pid_t container, struct child *child, char *why, size_t size);

#endif
