/* Frames over a pair of non-blocking file descriptors, with one bounded buffer each way. */
#ifndef BULKHEAD_CHANNEL_H
#define BULKHEAD_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"

typedef void frame_handler(int type, int flags, int stream, const char *payload, uint32_t length);

void channel_open(int in, int out);
/* Forgets what is half received and what waits to be sent: the peer is gone. */
void channel_reset(void);
/* Reads what is there and hands over every whole frame. False when the peer is gone. */
bool channel_read(frame_handler *handler);
/* Whether a frame of output may be queued: there is room for it and for answers beside it. */
bool channel_has_room(void);
/* Queues a frame and sends what can be sent. A frame for which there is no room is lost: ask first. */
void channel_send(int type, int flags, int stream, const void *payload, uint32_t length);
void channel_send_two(int type, int flags, int stream, const void *head, uint32_t head_length, const void *tail,
                      uint32_t tail_length);
void channel_flush(void);
bool channel_wants_write(void);
int channel_in(void);
int channel_out(void);

#endif
