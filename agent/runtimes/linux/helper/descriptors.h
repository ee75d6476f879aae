/* Open descriptors of a worker process. `qemu-arguments.ts` has the same numbers. */
#ifndef BULKHEAD_DESCRIPTORS_H
#define BULKHEAD_DESCRIPTORS_H

enum { CHANNEL_FD = 10, QMP_FD, CONSOLE_FD, TAP_FD, RAM_FD, STATE_FD, PRELOAD_FD, LAST_FD };

#endif
