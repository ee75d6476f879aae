/*
 * The log of a main process: lines of `<RFC 3339 time> <stdout|stderr> <F|P> <text>`, as Kubernetes' CRI has them
 * (P: the line goes on in the next entry). Bounded: at LOG_BYTES the file is renamed to `<path>.1` and a new one is started.
 */
#ifndef BULKHEAD_LOG_H
#define BULKHEAD_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_BYTES (4 << 20)
/* A line that goes on later than this is logged as it stands. */
#define LOG_PAUSE_MS 20

void log_open(const char *path);
/* source 0: stdout, 1: stderr. Returns by how many bytes the log has grown. */
size_t log_write(int source, const char *data, size_t length);
/* Whether there is something that has not ended with a line end, and is not in the log yet. */
bool log_waits(void);
/* Writes it: the process has paused, and may have asked something. */
void log_pause(void);

#endif
