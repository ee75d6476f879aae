/* Which devices the processes of a cgroup may open or make. */
#ifndef BULKHEAD_DEVICE_ACCESS_H
#define BULKHEAD_DEVICE_ACCESS_H

/* Leaves those of the container's /dev and no disk. Replaces an earlier limit. Returns 0 or -errno. */
int limit_devices(const char *cgroup_path);

#endif
