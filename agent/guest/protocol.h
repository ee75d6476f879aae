/*
 * The framed protocol between the host's agent and a guest, or a helper on the host that relays a terminal.
 *
 * A frame is a header of 8 bytes, little endian (u8 type, u8 flags, u16 stream, u32 length), and `length` bytes. A zero byte
 * in place of a header is skipped. A host that reconnects first sends more zeros than the longest frame has bytes, which
 * completes a partial frame of the previous connection. Then it sends CONNECT.
 *
 * Flow control: the guest sends output of a stream only within the credit that the host grants (initially STREAM_WINDOW).
 * The host can send STDIN_WINDOW bytes of input, and more only after CREDIT frames from the guest.
 */
#ifndef BULKHEAD_PROTOCOL_H
#define BULKHEAD_PROTOCOL_H

#include <stdint.h>

/* 2: a SPAWN can have several parts. */
#define PROTOCOL_VERSION 2
#define HEADER_BYTES 8
#define MAX_PAYLOAD 32768
/* Maximum size of the fields of a SPAWN: command and environment of a request and of its image. */
#define MAX_SPAWN (1 << 20)
#define MAX_STREAMS 64
#define MAIN_STREAM 1
#define STREAM_WINDOW 262144
#define STDIN_WINDOW 65536
#define NONCE_BYTES 16

enum frame_type {
  FRAME_IDLE = 0,
  /* host to guest */
  FRAME_CONNECT = 1,     /* nonce; ends every stream but the main one */
  FRAME_REQUEST = 2,     /* stream: request id; payload: fields */
  FRAME_SPAWN = 3,       /* payload: fields; FLAG_MORE: another part follows */
  FRAME_STDIN = 4,
  FRAME_CLOSE_STDIN = 5,
  FRAME_RESIZE = 6,      /* u16 rows, u16 columns */
  FRAME_SIGNAL = 7,      /* u8 signal; only SIGKILL is sent to the whole process group */
  FRAME_CREDIT = 8,      /* u32 bytes; either direction */
  /* guest to host */
  FRAME_HELLO = 16,      /* nonce, fields */
  FRAME_RESPONSE = 17,   /* stream: request id; i32 errno, then data; FLAG_MORE: another part follows */
  FRAME_STARTED = 18,    /* i32 pid; or -errno or a START value, and the reason as text */
  FRAME_STDOUT = 19,
  FRAME_STDERR = 20,
  FRAME_EXITED = 21      /* i32 exit code (128 + signal), i32 signal or 0; FLAG_OUT_OF_MEMORY */
};

/* Why a process could not be started; not values of errno. */
#define START_FAILED (-1000)
#define START_NOT_FOUND (-1001)
#define START_NOT_EXECUTABLE (-1002)

#define FLAG_MORE 1
#define FLAG_OUT_OF_MEMORY 2

/* Fields: `name=value` strings, each terminated by NUL. A name can be repeated. */
struct fields {
  const char *start;
  const char *end;
};

/* The value of the first field with that name at or after `from`; null if there is none. */
const char *field_after(struct fields fields, const char *from, const char *name);
static inline const char *field(struct fields fields, const char *name) {
  return field_after(fields, fields.start, name);
}
long field_number(struct fields fields, const char *name, long otherwise);
/* Pointers to all values with that name, terminated by null. The caller frees the array, but not the strings. */
char **field_list(struct fields fields, const char *name);

#endif
