/* A program as a file in memory that cannot be changed. */
#ifndef BULKHEAD_SEALED_H
#define BULKHEAD_SEALED_H

/*
 * Copies a file. A process that runs it cannot change the file through /proc/<pid>/exe, nor can any other. Returns a
 * descriptor that is closed by exec; -1 with errno.
 */
int sealed_copy(const char *path);

#endif
