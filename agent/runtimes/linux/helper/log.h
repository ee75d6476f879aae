/*
 * The log of a main process: lines of `<RFC 3339 time> <stdout|stderr> <F|P> <text>`, as Kubernetes' CRI has them
 * (P: the line goes on in the next entry). Bounded: at LOG_BYTES the file is renamed to `<path>.1` and begun anew.
 */
#ifndef BULKHEAD_LOG_H
#define BULKHEAD_LOG_H

#include <stddef.h>

#define LOG_BYTES (4 << 20)

void log_open(const char *path);
/* source 0: stdout, 1: stderr */
void log_write(int source, const char *data, size_t length);
/* Writes what has not ended with a line end. */
void log_end(void);

#endif
