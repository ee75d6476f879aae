/*
 * Joining a main process from outside: a unix socket beside its log. Frames both ways are a byte that says what they
 * are, a length (32 bits, as this machine has them) and data.
 */
#ifndef BULKHEAD_ATTACH_H
#define BULKHEAD_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define ATTACH_CLIENTS 16
#define ATTACH_POLLED (ATTACH_CLIENTS + 2)

/* To a client: its output, and that some of it was dropped because it did not read. */
enum { ATTACH_STDOUT = 0, ATTACH_STDERR = 1, ATTACH_LOST = 2 };
/*
 * From a client. The first is HELLO: with 1 it asks for what was written lately. Or it says PACE and nothing else, again
 * and again: with a number (32 bits), that it has read so many bytes more of the log; without, that it is read up to here.
 * While the log is ahead of such a client by PACE_BYTES, output is left with the process.
 */
enum { ATTACH_INPUT = 0, ATTACH_END_INPUT = 1, ATTACH_RESIZE = 2, ATTACH_HELLO = 3, ATTACH_PACE = 4 };
#define PACE_BYTES (1 << 20)
/* What is read at once of a paced process: of text in short lines the log grows by many times that. */
#define PACED_READ_BYTES 4096
/* A new process is paced by a client that is about to attach: up to this many bytes, for this long. */
#define FIRST_PACE_BYTES (512 << 10)
#define FIRST_PACE_MS 2000

/* `input` is the process's stdin, or its terminal. */
void attach_open(const char *path, int input, bool tty);
void attach_output(int source, const char *data, size_t length);
/* The log has grown. */
void attach_logged(size_t length);
/* Whether output is to be left with the process for now; `wait_ms` is set to how long at the most, if there is an end to it. */
bool attach_holds(int *wait_ms);
/* Whether anybody paces it. */
bool attach_paced(void);
/* Adds what is to be waited for; returns the new count. */
int attach_poll(struct pollfd *polled, int count);
void attach_move(void);
/* Gives clients a moment to read the rest, then closes them. */
void attach_close(const char *path);

#endif
