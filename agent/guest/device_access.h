/* Limits which devices the processes of a cgroup can open or create. */
#ifndef BULKHEAD_DEVICE_ACCESS_H
#define BULKHEAD_DEVICE_ACCESS_H

/* Allows the devices of the container's /dev, and no disk. Replaces an earlier limit. Returns 0 or -errno. */
int limit_devices(const char *cgroup_path);

#endif
