/* Every running process whose input and output the host sees, by stream number. */
#ifndef BULKHEAD_STREAMS_H
#define BULKHEAD_STREAMS_H

#include <poll.h>
#include <stdbool.h>

#include "spawn.h"

/* Ways to start what a SPAWN asks for: all that differs between a guest and a relay on the host. */
typedef int stream_starter(int stream, struct fields fields, struct child *child, char *why, size_t size);

void streams_begin(stream_starter *starter);
/* Handles the frames that concern streams; others change nothing. */
void streams_frame(int type, int stream, const char *payload, uint32_t length);
/* The host has reconnected: every stream but the main one ends, and the kept output of the main one is sent. */
void streams_connected(void);
void streams_disconnected(void);
/* Adds what is to be polled after `from`; returns the new count. At most 3 a stream. */
int streams_poll(struct pollfd *polled, int from);
/* Moves what can be moved. To be called after each poll. */
void streams_move(void);
/* A child has ended (status as of waitpid). */
void streams_child_ended(pid_t pid, int status);
/* From now on the stream is that other process's: its start has ended, and left it. */
void streams_hand_over(pid_t from, pid_t to);
bool streams_any(void);

/* The main process: -1 before it started and after it ended. */
pid_t streams_main_pid(void);
/* 0 never started, 1 running, 2 ended. */
int streams_main_state(void);
int streams_main_exit_code(void);
int streams_main_signal(void);
/* 1 when it was killed for want of memory. */
int streams_main_out_of_memory(void);
/* After a rehearsal in a VM that no container has used yet: as if the main process had never started. 0 or -EBUSY. */
int streams_forget_main(void);

#endif
