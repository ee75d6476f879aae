/*
 * Attaching to a main process: a Unix socket in addition to its log. Frames in both directions are a byte with the type, a
 * length (32 bits, native byte order) and data.
 */
#ifndef BULKHEAD_ATTACH_H
#define BULKHEAD_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define ATTACH_CLIENTS 16
#define ATTACH_POLLED (ATTACH_CLIENTS + 2)

/* To a client: output, and a notice that output was dropped because the client did not read it. */
enum { ATTACH_STDOUT = 0, ATTACH_STDERR = 1, ATTACH_LOST = 2 };
/*
 * From a client. The first frame is HELLO, with 1 to request the recent output. A pacing client sends only PACE frames, each with
 * the number (32 bits) of further bytes of the log that it has read, or without a number if it has read the whole log. While the
 * log is PACE_BYTES ahead of such a client, the process's output is not read.
 */
enum { ATTACH_INPUT = 0, ATTACH_END_INPUT = 1, ATTACH_RESIZE = 2, ATTACH_HELLO = 3, ATTACH_PACE = 4 };
#define PACE_BYTES (1 << 20)
/* Bytes to read at a time from a paced process. The log grows by a multiple of that if lines are short. */
#define PACED_READ_BYTES 4096
/* A new process waits for a client that is about to attach, after this many bytes and for this long. */
#define FIRST_PACE_BYTES (512 << 10)
#define FIRST_PACE_MS 2000

/* `input` is the process's stdin or terminal. */
void attach_open(const char *path, int input, bool tty);
void attach_output(int source, const char *data, size_t length);
/* Must be called when the log has grown. */
void attach_logged(size_t length);
/* Whether to stop reading output for now. If there is a time limit, `wait_ms` is set to the remaining time. */
bool attach_holds(int *wait_ms);
/* Whether a client paces the process. */
bool attach_paced(void);
/* Adds the descriptors to poll; returns the new count. */
int attach_poll(struct pollfd *polled, int count);
void attach_move(void);
/* Gives clients a short time to read the rest, then closes their connections. */
void attach_close(const char *path);

#endif
