/* The container's cgroup in a guest (version 2). */
#ifndef BULKHEAD_CGROUP_H
#define BULKHEAD_CGROUP_H

void make_cgroup(const char *path, const char *memory_bytes, const char *pids);
void join_cgroup(const char *path);
/* Whether the kernel has killed a process of the cgroup because memory ran out. */
int cgroup_ran_out_of_memory(const char *path);

#endif
