#ifndef BULKHEAD_LAYERS_H
#define BULKHEAD_LAYERS_H

#include <stdbool.h>

/* Whether the container's root file system is mounted. */
int layers_mounted(void);
/* Mounts the root file system from the two disks, `image` and `scratch`. Returns 0 or -errno. */
int mount_layers(void);
/*
 * Unmounts the root file system and unbinds the disks, so that the host can replace the files behind them. `keep_image`
 * leaves the image mounted, for containers of the same image; its cached pages stay in memory. Returns 0 or -errno.
 */
int unmount_layers(bool keep_image);

#endif
