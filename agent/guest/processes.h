#ifndef BULKHEAD_PROCESSES_H
#define BULKHEAD_PROCESSES_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Lists every process in the pid namespace of `container`, one NUL-terminated record each, with tab-separated fields: pid in
 * that namespace, name, user, CPU ticks, resident pages, start in ticks after boot, command line.
 * Returns the number of bytes written, at most `size`. Writes only complete records.
 */
size_t list_processes(pid_t container, char *buffer, size_t size);

#endif
