#define _GNU_SOURCE
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "cgroup.h"
#include "kept_output.h"

struct stream {
  bool used, ended, input_closing;
  struct child child;
  int exit_code, exit_signal;
  uint32_t credit;
  /* Input that the process has not read yet. */
  char *input;
  uint32_t input_from, input_have, input_taken;
};

static struct stream streams[MAX_STREAMS];
static stream_starter *start_child;
static bool connected;
static int main_state, main_exit_code, main_signal, main_out_of_memory;

void streams_begin(stream_starter *starter) { start_child = starter; }
pid_t streams_main_pid(void) { return main_state == 1 ? streams[MAIN_STREAM].child.pid : -1; }
int streams_main_state(void) { return main_state; }
int streams_main_exit_code(void) { return main_exit_code; }
int streams_main_signal(void) { return main_signal; }
int streams_main_out_of_memory(void) { return main_out_of_memory; }

int streams_forget_main(void) {
  if (streams[MAIN_STREAM].used) return -EBUSY;
  main_state = main_exit_code = main_signal = main_out_of_memory = 0;
  return 0;
}

bool streams_any(void) {
  for (int i = 0; i < MAX_STREAMS; i++)
    if (streams[i].used) return true;
  return false;
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void close_input(struct stream *stream) {
  if (stream->child.tty) stream->child.in = -1;
  else close_fd(&stream->child.in);
}

static void close_output(struct stream *stream) {
  if (stream->child.tty) stream->child.in = -1;
  close_fd(&stream->child.out);
}

static void release(struct stream *stream) {
  close_input(stream);
  close_output(stream);
  close_fd(&stream->child.err);
  free(stream->input);
  memset(stream, 0, sizeof *stream);
}

static void send_exit(int number, const struct stream *stream) {
  int32_t numbers[2] = {stream->exit_code, stream->exit_signal};
  int flags = number == MAIN_STREAM && main_out_of_memory ? FLAG_OUT_OF_MEMORY : 0;
  channel_send(FRAME_EXITED, flags, number, numbers, sizeof numbers);
}

static void set_nonblocking(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void spawn(int number, struct fields fields) {
  struct stream *stream = &streams[number];
  int problem = stream->used || (number == MAIN_STREAM && main_state != 0) ? -EBUSY : 0;
  char why[256] = "";
  if (!problem) problem = start_child(number, fields, &stream->child, why, sizeof why);
  int32_t result = problem ? problem : stream->child.pid;
  if (!problem) {
    stream->used = true;
    stream->credit = STREAM_WINDOW;
    stream->input = malloc(STDIN_WINDOW);
    set_nonblocking(stream->child.in);
    set_nonblocking(stream->child.out);
    set_nonblocking(stream->child.err);
    if (number == MAIN_STREAM) main_state = 1;
  }
  channel_send_two(FRAME_STARTED, 0, number, &result, sizeof result, why, problem ? strlen(why) : 0);
}

/* The parts of the SPAWN that is being received. */
static struct {
  int stream;
  char *fields;
  size_t length;
} parts;

static void drop_parts(void) {
  free(parts.fields);
  memset(&parts, 0, sizeof parts);
}

static void take_spawn(int number, bool more, const char *payload, uint32_t length) {
  if (parts.stream != number) drop_parts();
  char *grown = parts.length + length > MAX_SPAWN ? NULL : realloc(parts.fields, parts.length + length + 1);
  if (!grown) {
    int32_t problem = -E2BIG;
    drop_parts();
    channel_send(FRAME_STARTED, 0, number, &problem, sizeof problem);
    return;
  }
  memcpy(grown + parts.length, payload, length);
  parts.stream = number;
  parts.fields = grown;
  parts.length += length;
  grown[parts.length] = 0;
  if (more) return;
  spawn(number, (struct fields){grown, grown + parts.length});
  drop_parts();
}

static void take_input(struct stream *stream, const char *payload, uint32_t length) {
  if (!stream->input || stream->input_closing) return;
  if (stream->child.in < 0) {
    /* No reader: drop the input, so that the sender does not wait. */
    stream->input_taken += length;
    return;
  }
  /* Input beyond the granted credit is dropped, because this buffer must stay bounded. */
  if (length > STDIN_WINDOW - stream->input_have) length = STDIN_WINDOW - stream->input_have;
  memmove(stream->input, stream->input + stream->input_from, stream->input_have);
  stream->input_from = 0;
  memcpy(stream->input + stream->input_have, payload, length);
  stream->input_have += length;
}

static void resize(struct stream *stream, const char *payload, uint32_t length) {
  if (!stream->child.tty || stream->child.out < 0 || length < 4) return;
  struct winsize size = {0};
  memcpy(&size.ws_row, payload, 2);
  memcpy(&size.ws_col, payload + 2, 2);
  ioctl(stream->child.out, TIOCSWINSZ, &size);
}

/* As in other container engines, only the process gets the signal. SIGKILL goes to its whole process group. */
static void send_signal(struct stream *stream, int signal_number) {
  if (stream->ended || signal_number <= 0 || signal_number > 64) return;
  if (signal_number == SIGKILL && kill(-stream->child.pid, SIGKILL) == 0) return;
  kill(stream->child.pid, signal_number);
}

static void grant(struct stream *stream, const char *payload, uint32_t length) {
  uint32_t more;
  if (length < sizeof more) return;
  memcpy(&more, payload, sizeof more);
  if (more > STREAM_WINDOW - stream->credit) more = STREAM_WINDOW - stream->credit;
  stream->credit += more;
}

void streams_frame(int type, int flags, int number, const char *payload, uint32_t length) {
  if (number < 1 || number >= MAX_STREAMS) return;
  struct stream *stream = &streams[number];
  if (type == FRAME_SPAWN) take_spawn(number, flags & FLAG_MORE, payload, length);
  if (!stream->used) return;
  if (type == FRAME_STDIN) take_input(stream, payload, length);
  else if (type == FRAME_CLOSE_STDIN) stream->input_closing = true;
  else if (type == FRAME_RESIZE) resize(stream, payload, length);
  else if (type == FRAME_SIGNAL && length > 0) send_signal(stream, (unsigned char)payload[0]);
  else if (type == FRAME_CREDIT) grant(stream, payload, length);
}

void streams_connected(void) {
  connected = true;
  drop_parts();
  for (int i = 0; i < MAX_STREAMS; i++) {
    struct stream *stream = &streams[i];
    if (!stream->used) continue;
    if (i == MAIN_STREAM) {
      stream->credit = STREAM_WINDOW;
      stream->input_have = stream->input_from = stream->input_taken = 0;
    } else {
      send_signal(stream, SIGKILL);
      release(stream);
    }
  }
}

void streams_disconnected(void) { connected = false; }

int streams_poll(struct pollfd *polled, int count) {
  bool room = channel_has_room();
  for (int i = 0; i < MAX_STREAMS; i++) {
    struct stream *stream = &streams[i];
    if (!stream->used) continue;
    bool wanted = connected ? room && stream->credit > 0 && (i != MAIN_STREAM || !kept_any()) : i == MAIN_STREAM;
    if (wanted && stream->child.out >= 0) polled[count++] = (struct pollfd){stream->child.out, POLLIN, 0};
    if (wanted && stream->child.err >= 0) polled[count++] = (struct pollfd){stream->child.err, POLLIN, 0};
    if (stream->child.in >= 0 && stream->input_have > 0)
      polled[count++] = (struct pollfd){stream->child.in, POLLOUT, 0};
  }
  return count;
}

static void move_input(int number, struct stream *stream) {
  while (stream->input_have > 0 && stream->child.in >= 0) {
    ssize_t put = write(stream->child.in, stream->input + stream->input_from, stream->input_have);
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) {
      /* The reader has closed its end. */
      put = stream->input_have;
      close_input(stream);
    }
    stream->input_from += put;
    stream->input_have -= put;
    stream->input_taken += put;
  }
  if (stream->input_taken >= STDIN_WINDOW / 4 && connected && channel_has_room()) {
    channel_send(FRAME_CREDIT, 0, number, &stream->input_taken, sizeof stream->input_taken);
    stream->input_taken = 0;
  }
  if (stream->input_closing && stream->input_have == 0 && stream->child.in >= 0) {
    static const char end_of_file = 4;
    if (stream->child.tty && write(stream->child.in, &end_of_file, 1) < 0) return;
    close_input(stream);
  }
}

/* Moves one piece of output. Returns false if nothing can be moved now. */
static bool move_output(int number, struct stream *stream, int type, int *fd) {
  static char piece[MAX_PAYLOAD];
  bool keep = !connected && number == MAIN_STREAM;
  if (*fd < 0 || (!keep && (!connected || stream->credit == 0 || !channel_has_room()))) return false;
  size_t most = keep || stream->credit > sizeof piece ? sizeof piece : stream->credit;
  ssize_t got = read(*fd, piece, most);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    if (type == FRAME_STDOUT) close_output(stream);
    else close_fd(fd);
    return false;
  }
  if (keep) kept_add(type, piece, got);
  else {
    channel_send(type, 0, number, piece, got);
    stream->credit -= got;
  }
  return true;
}

static bool send_kept(struct stream *stream) {
  static char piece[MAX_PAYLOAD];
  int type;
  uint32_t length;
  while (connected && kept_any()) {
    if (!channel_has_room() || stream->credit < MAX_PAYLOAD) return false;
    length = kept_take(&type, piece);
    channel_send(type, 0, MAIN_STREAM, piece, length);
    stream->credit -= length;
  }
  return !kept_any();
}

/* Output that waits for credit or buffer space must not be lost when the process exits. */
static bool has_output(const struct stream *stream) {
  struct pollfd polled[2] = {{stream->child.out, POLLIN, 0}, {stream->child.err, POLLIN, 0}};
  return poll(polled, 2, 0) > 0 && ((polled[0].revents | polled[1].revents) & POLLIN);
}

static void finish(int number, struct stream *stream) {
  if (!stream->ended || has_output(stream) || !connected || !channel_has_room()) return;
  if (number == MAIN_STREAM && kept_any()) return;
  send_exit(number, stream);
  release(stream);
}

void streams_move(void) {
  for (int i = 0; i < MAX_STREAMS; i++) {
    struct stream *stream = &streams[i];
    if (!stream->used) continue;
    move_input(i, stream);
    if (i == MAIN_STREAM && connected && !send_kept(stream)) continue;
    bool more = true;
    while (more) {
      more = move_output(i, stream, FRAME_STDOUT, &stream->child.out);
      more = move_output(i, stream, FRAME_STDERR, &stream->child.err) || more;
    }
    finish(i, stream);
  }
}

void streams_child_ended(pid_t pid, int status) {
  for (int i = 0; i < MAX_STREAMS; i++) {
    struct stream *stream = &streams[i];
    if (!stream->used || stream->ended || stream->child.pid != pid) continue;
    stream->ended = true;
    stream->exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    stream->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (i != MAIN_STREAM) continue;
    main_state = 2;
    main_exit_code = stream->exit_code;
    main_signal = stream->exit_signal;
    main_out_of_memory = main_exit_code == 128 + SIGKILL && cgroup_ran_out_of_memory(CONTAINER_CGROUP);
  }
}
