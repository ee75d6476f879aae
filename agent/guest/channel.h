/* Frames over a pair of non-blocking file descriptors, with one bounded buffer in each direction. */
#ifndef BULKHEAD_CHANNEL_H
#define BULKHEAD_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"

typedef void frame_handler(int type, int flags, int stream, const char *payload, uint32_t length);

void channel_open(int in, int out);
/* Empties both buffers, because the peer has disconnected. */
void channel_reset(void);
/* Reads the available bytes and passes every complete frame to `handler`. Returns false when the peer has disconnected. */
bool channel_read(frame_handler *handler);
/* Whether a frame of output can be queued without using the space that is reserved for responses. */
bool channel_has_room(void);
/* Queues a frame and sends as much as possible. A frame that does not fit is dropped: call channel_has_room first. */
void channel_send(int type, int flags, int stream, const void *payload, uint32_t length);
void channel_send_two(int type, int flags, int stream, const void *head, uint32_t head_length, const void *tail,
                      uint32_t tail_length);
void channel_flush(void);
bool channel_wants_write(void);
int channel_in(void);
int channel_out(void);

#endif
