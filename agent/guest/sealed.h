/* Copies a program to a file in memory that cannot be changed. */
#ifndef BULKHEAD_SEALED_H
#define BULKHEAD_SEALED_H

/*
 * Copies a file. No process can change the copy through /proc/<pid>/exe, not even the one that runs it. Returns a
 * close-on-exec descriptor, or -1 with errno.
 */
int sealed_copy(const char *path);

#endif
