/* The processes whose input and output go to the host, by stream number. */
#ifndef BULKHEAD_STREAMS_H
#define BULKHEAD_STREAMS_H

#include <poll.h>
#include <stdbool.h>

#include "spawn.h"

/* Starts the process of a SPAWN. A guest and a relay on the host differ only in this function. */
typedef int stream_starter(int stream, struct fields fields, struct child *child, char *why, size_t size);

void streams_begin(stream_starter *starter);
/* Handles the frames of streams; ignores others. */
void streams_frame(int type, int flags, int stream, const char *payload, uint32_t length);
/* The host has reconnected: every stream but the main one ends, and the kept output of the main one is sent. */
void streams_connected(void);
void streams_disconnected(void);
/* Adds the descriptors to poll from index `from` on; returns the new count. Adds at most 3 per stream. */
int streams_poll(struct pollfd *polled, int from);
/* Moves as much input and output as possible. Must be called after each poll. */
void streams_move(void);
/* Records that a child has exited, with its status from waitpid. */
void streams_child_ended(pid_t pid, int status);
bool streams_any(void);

/* The pid of the main process; -1 before its start and after its exit. */
pid_t streams_main_pid(void);
/* 0 never started, 1 running, 2 ended. */
int streams_main_state(void);
int streams_main_exit_code(void);
int streams_main_signal(void);
/* 1 if it was killed because memory ran out. */
int streams_main_out_of_memory(void);
/* Resets the main process's state after a rehearsal in a VM that no container has used yet. Returns 0 or -EBUSY. */
int streams_forget_main(void);

#endif
