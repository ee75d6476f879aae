/* What the kernel shows to every process, and containers have no business with. */
#ifndef BULKHEAD_MASK_H
#define BULKHEAD_MASK_H

#include "protocol.h"

/*
 * In the mount namespace of a container, once /proc and /sys are mounted. Fields: mask (several; covered by an empty
 * folder or by /dev/null), read-only (several). A path that the kernel lacks is skipped. Returns 0, or -1 with errno.
 */
int mask_paths(struct fields fields);

#endif
