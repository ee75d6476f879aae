#ifndef BULKHEAD_LAYERS_H
#define BULKHEAD_LAYERS_H

#include <stdbool.h>

/* Whether the container's root file system is there. */
int layers_mounted(void);
/* Makes it of the two disks, `image` and `scratch`. 0 or -errno. */
int mount_layers(void);
/*
 * Takes it apart, and the disks away from their driver: what is behind them may then be exchanged. `keep_image`
 * leaves the image mounted, for containers of the same image; what has been read of it stays in memory. 0 or -errno.
 */
int unmount_layers(bool keep_image);

#endif
