#define _GNU_SOURCE
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FRAME_BYTES (HEADER_BYTES + MAX_PAYLOAD)
#define OUT_BYTES (8 * FRAME_BYTES)
/* Output never uses these bytes, so that responses always fit. */
#define RESERVED_BYTES (4 * FRAME_BYTES)

static int in_fd = -1, out_fd = -1;
/* One more byte, so that a payload can be terminated by NUL and parsed as text. */
static char in_buffer[2 * FRAME_BYTES + 1];
static size_t in_have;
static char out_buffer[OUT_BYTES];
static size_t out_from, out_have;

void channel_open(int in, int out) {
  in_fd = in;
  out_fd = out;
  channel_reset();
}

void channel_reset(void) { in_have = out_from = out_have = 0; }
int channel_in(void) { return in_fd; }
int channel_out(void) { return out_fd; }

/* Consumes one complete frame, or idle bytes. Returns the number of bytes consumed; 0 if no frame is complete. */
static size_t take_frame(const char *at, size_t have, frame_handler *handler) {
  if (have == 0) return 0;
  if (at[0] == FRAME_IDLE) return 1;
  if (have < HEADER_BYTES) return 0;
  uint32_t length;
  uint16_t stream;
  memcpy(&stream, at + 2, sizeof stream);
  memcpy(&length, at + 4, sizeof length);
  if (length > MAX_PAYLOAD) return 1; /* not a frame: search for the next one */
  if (have < HEADER_BYTES + length) return 0;
  static char payload[MAX_PAYLOAD + 1];
  memcpy(payload, at + HEADER_BYTES, length);
  payload[length] = 0;
  handler((unsigned char)at[0], (unsigned char)at[1], stream, payload, length);
  return HEADER_BYTES + length;
}

bool channel_read(frame_handler *handler) {
  for (;;) {
    ssize_t got = read(in_fd, in_buffer + in_have, sizeof in_buffer - 1 - in_have);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    in_have += got;
    size_t from = 0, taken;
    while ((taken = take_frame(in_buffer + from, in_have - from, handler)) > 0) from += taken;
    memmove(in_buffer, in_buffer + from, in_have - from);
    in_have -= from;
  }
}

bool channel_has_room(void) { return OUT_BYTES - out_have >= RESERVED_BYTES + FRAME_BYTES; }
bool channel_wants_write(void) { return out_have > 0; }

void channel_flush(void) {
  while (out_have > 0) {
    ssize_t put = write(out_fd, out_buffer + out_from, out_have);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    out_from += put;
    out_have -= put;
  }
  out_from = 0;
}

static void append(const void *data, size_t length) {
  memcpy(out_buffer + out_from + out_have, data, length);
  out_have += length;
}

void channel_send_two(int type, int flags, int stream, const void *head, uint32_t head_length, const void *tail,
                      uint32_t tail_length) {
  uint32_t length = head_length + tail_length;
  if (out_from > 0) {
    memmove(out_buffer, out_buffer + out_from, out_have);
    out_from = 0;
  }
  if (length > MAX_PAYLOAD || OUT_BYTES - out_have < HEADER_BYTES + length) return;
  unsigned char header[HEADER_BYTES] = {type, flags, stream & 255, stream >> 8};
  memcpy(header + 4, &length, sizeof length);
  append(header, sizeof header);
  if (head_length > 0) append(head, head_length);
  if (tail_length > 0) append(tail, tail_length);
  channel_flush();
}

void channel_send(int type, int flags, int stream, const void *payload, uint32_t length) {
  channel_send_two(type, flags, stream, payload, length, NULL, 0);
}
