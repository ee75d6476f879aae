/* Hides files that the kernel exposes to every process and that containers do not need. */
#ifndef BULKHEAD_MASK_H
#define BULKHEAD_MASK_H

#include "protocol.h"

/*
 * Call this in the mount namespace of a container, after /proc and /sys are mounted. Fields: mask (repeatable; covered by an
 * empty folder or by /dev/null), read-only (repeatable). A path that does not exist is skipped. Returns 0, or -1 with errno.
 */
int mask_paths(struct fields fields);

#endif
