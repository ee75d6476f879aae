/* Restricts a container's process: its root directory, its devices and its limits. */
#ifndef BULKHEAD_CONFINE_H
#define BULKHEAD_CONFINE_H

#include "user.h"

/* In new mount and UTS namespaces: makes `root` the root directory, with its own proc, sys and dev. */
int enter_new_root(const char *root, const char *hostname);
/* Applies the identity and the limits of a container: capabilities, system calls, resources. */
int confine_process(const struct identity *identity, unsigned long open_files);
void make_cgroup(const char *path, const char *memory_bytes, const char *pids);
void join_cgroup(const char *path);
/* Whether the kernel has killed a process of the cgroup because memory ran out. */
int cgroup_ran_out_of_memory(const char *path);

#endif
