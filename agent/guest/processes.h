#ifndef BULKHEAD_PROCESSES_H
#define BULKHEAD_PROCESSES_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Every process in the pid namespace of `container`, one NUL-ended record each:
 * pid inside, name, user, CPU ticks, resident pages, start in ticks after boot, command line; tab between.
 * Returns the bytes written, at most `size`; whole records only.
 */
size_t list_processes(pid_t container, char *buffer, size_t size);

#endif
