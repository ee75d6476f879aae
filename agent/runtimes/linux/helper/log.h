/*
 * The log of a main process: lines of `<RFC 3339 time> <stdout|stderr> <F|P> <text>`, as in Kubernetes' CRI (P: the line
 * continues in the next entry). At LOG_BYTES the file is renamed to `<path>.1` and a new file is started.
 */
#ifndef BULKHEAD_LOG_H
#define BULKHEAD_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_BYTES (4 << 20)
/* An unfinished line is logged after this pause. */
#define LOG_PAUSE_MS 20

void log_open(const char *path);
/* source 0: stdout, 1: stderr. Returns by how many bytes the log has grown. */
size_t log_write(int source, const char *data, size_t length);
/* Whether there is an unfinished line that is not in the log yet. */
bool log_waits(void);
/* Logs the unfinished line after a pause, because it may be a prompt. */
void log_pause(void);

#endif
