#define _GNU_SOURCE
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HEAD 5
/* Limit of a client's unread output. Beyond it output is lost and the client is notified. The process never waits. */
#define UNREAD_BYTES (256 * 1024)
#define RECENT_BYTES (64 * 1024)
#define LONGEST_FRAME 65536
#define LAST_WORDS_MS 500

struct client {
  int fd;
  bool joined, lost, paces;
  /* For a pacing client: bytes that the log can still grow. It can become slightly negative. */
  int64_t credit;
  char *unread;
  size_t have;
  char head[HEAD];
  size_t head_have;
  /* Payload bytes of the current frame that are still to be read. */
  uint32_t left;
};

static struct client clients[ATTACH_CLIENTS];
static int listener = -1, input_fd = -1;
static bool is_tty;
static char recent[RECENT_BYTES];
static size_t recent_have;
/* Input that the process has not read. While there is any, no client is read. */
static char pending[4096];
static size_t pending_from, pending_have;
static int64_t first_credit = FIRST_PACE_BYTES;
static struct timespec opened;

static void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

void attach_open(const char *path, int input, bool tty) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  for (int i = 0; i < ATTACH_CLIENTS; i++) clients[i].fd = -1;
  input_fd = input;
  is_tty = tty;
  clock_gettime(CLOCK_MONOTONIC, &opened);
  set_nonblocking(input);
  if (strlen(path) >= sizeof address.sun_path) return;
  strcpy(address.sun_path, path);
  unlink(path);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t mask = umask(0177);
  /* Without the socket the process still runs, but clients can't attach. */
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, ATTACH_CLIENTS)) {
    close(listener);
    listener = -1;
  }
  umask(mask);
}

static void put_head(char *head, int kind, uint32_t length) {
  head[0] = kind;
  memcpy(head + 1, &length, sizeof length);
}

static void drop(struct client *client) {
  close(client->fd);
  free(client->unread);
  *client = (struct client){.fd = -1};
}

static void tell(struct client *client, int kind, const char *data, size_t length) {
  if (client->have + HEAD + length > UNREAD_BYTES) {
    client->lost = true;
    return;
  }
  put_head(client->unread + client->have, kind, length);
  if (length > 0) memcpy(client->unread + client->have + HEAD, data, length);
  client->have += HEAD + length;
}

static void flush_client(struct client *client) {
  if (client->have > 0) {
    ssize_t put = send(client->fd, client->unread, client->have, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR) {
      drop(client);
      return;
    }
    if (put > 0) {
      client->have -= put;
      memmove(client->unread, client->unread + put, client->have);
    }
  }
  if (client->lost && client->have == 0) {
    client->lost = false;
    tell(client, ATTACH_LOST, NULL, 0);
  }
}

static void remember(int kind, const char *data, size_t length) {
  while (RECENT_BYTES - recent_have < HEAD + length) {
    uint32_t oldest;
    memcpy(&oldest, recent + 1, sizeof oldest);
    recent_have -= HEAD + oldest;
    memmove(recent, recent + HEAD + oldest, recent_have);
  }
  put_head(recent + recent_have, kind, length);
  memcpy(recent + recent_have + HEAD, data, length);
  recent_have += HEAD + length;
}

void attach_output(int source, const char *data, size_t length) {
  const size_t most = RECENT_BYTES / 4;
  for (size_t from = 0; from < length; from += most) {
    size_t piece = length - from < most ? length - from : most;
    remember(source, data + from, piece);
    for (int i = 0; i < ATTACH_CLIENTS; i++)
      if (clients[i].fd >= 0 && clients[i].joined) tell(&clients[i], source, data + from, piece);
  }
}

void attach_logged(size_t length) {
  first_credit -= length;
  for (int i = 0; i < ATTACH_CLIENTS; i++) clients[i].credit -= length;
}

static bool paces(const struct client *client) { return client->fd >= 0 && client->paces; }

bool attach_paced(void) {
  for (int i = 0; i < ATTACH_CLIENTS; i++)
    if (paces(&clients[i])) return true;
  return false;
}

static long since_opened_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - opened.tv_sec) * 1000 + (now.tv_nsec - opened.tv_nsec) / 1000000;
}

bool attach_holds(int *wait_ms) {
  for (int i = 0; i < ATTACH_CLIENTS; i++)
    if (paces(&clients[i]) && clients[i].credit <= 0) return true;
  /* With a terminal, clients get only live output, so there is no need to wait for them. */
  if (attach_paced() || is_tty || first_credit > 0) return false;
  long left = FIRST_PACE_MS - since_opened_ms();
  if (left <= 0) return false;
  if (*wait_ms < 0 || *wait_ms > left) *wait_ms = left;
  return true;
}

static void accept_client(void) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < ATTACH_CLIENTS; i++) {
    if (clients[i].fd >= 0) continue;
    clients[i] = (struct client){.fd = fd, .unread = malloc(UNREAD_BYTES)};
    return;
  }
  close(fd);
}

static void give_input(void) {
  while (pending_have > 0 && input_fd >= 0) {
    ssize_t put = write(input_fd, pending + pending_from, pending_have);
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) put = pending_have;
    pending_from += put;
    pending_have -= put;
  }
  if (input_fd < 0) pending_have = 0;
}

static void end_input(void) {
  static const char end_of_file = 4;
  if (input_fd < 0) return;
  if (is_tty) {
    (void)!write(input_fd, &end_of_file, 1);
    return;
  }
  close(input_fd);
  input_fd = -1;
}

static void resize(const char *data, size_t length) {
  struct winsize size = {0};
  if (!is_tty || length < 4) return;
  memcpy(&size.ws_col, data, 2);
  memcpy(&size.ws_row, data + 2, 2);
  ioctl(input_fd, TIOCSWINSZ, &size);
}

static void join_client(struct client *client, bool with_recent) {
  client->joined = true;
  if (!with_recent) return;
  memcpy(client->unread + client->have, recent, recent_have);
  client->have += recent_have;
}

static void pace(struct client *client, const char *data, size_t length) {
  uint32_t bytes;
  if (length == 0) {
    client->paces = true;
    client->credit = PACE_BYTES;
  } else if (length == sizeof bytes) {
    memcpy(&bytes, data, sizeof bytes);
    client->credit += bytes;
  }
}

/* Handles a piece of a frame's payload. Only input comes in pieces; other payloads are a few bytes long. */
static void handle_payload(struct client *client, const char *data, size_t length) {
  int kind = client->head[0];
  if (kind == ATTACH_PACE) pace(client, data, length);
  else if (kind == ATTACH_INPUT) {
    /* Before HELLO, a client is read even while input waits, so its input is ignored. */
    if (!client->joined) return;
    memcpy(pending, data, length);
    pending_from = 0;
    pending_have = length;
    give_input();
  } else if (kind == ATTACH_END_INPUT) end_input();
  else if (kind == ATTACH_RESIZE) resize(data, length);
  else if (kind == ATTACH_HELLO && !client->joined) join_client(client, length > 0 && data[0]);
}

/* Returns false if there is no more data to read now. */
static bool read_client(struct client *client) {
  char data[sizeof pending];
  bool head = client->head_have < HEAD;
  size_t most = head ? HEAD - client->head_have : client->left < sizeof data ? client->left : sizeof data;
  ssize_t got = recv(client->fd, head ? client->head + client->head_have : data, most, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    drop(client);
    return false;
  }
  if (head) {
    client->head_have += got;
    if (client->head_have < HEAD) return true;
    memcpy(&client->left, client->head + 1, sizeof client->left);
    if (client->left > LONGEST_FRAME) {
      drop(client);
      return false;
    }
    if (client->left == 0) {
      handle_payload(client, data, 0);
      client->head_have = 0;
    }
    return true;
  }
  handle_payload(client, data, got);
  client->left -= got;
  if (client->left == 0) client->head_have = 0;
  return true;
}

int attach_poll(struct pollfd *polled, int count) {
  polled[count++] = (struct pollfd){listener, POLLIN, 0};
  polled[count++] = (struct pollfd){pending_have > 0 ? input_fd : -1, POLLOUT, 0};
  for (int i = 0; i < ATTACH_CLIENTS; i++) {
    short wanted = (pending_have > 0 && clients[i].joined ? 0 : POLLIN) | (clients[i].have > 0 || clients[i].lost ? POLLOUT : 0);
    /* poll would report a closed descriptor repeatedly. */
    polled[count++] = (struct pollfd){wanted ? clients[i].fd : -1, wanted, 0};
  }
  return count;
}

void attach_move(void) {
  if (listener >= 0) accept_client();
  give_input();
  for (int i = 0; i < ATTACH_CLIENTS; i++) {
    while (clients[i].fd >= 0 && (pending_have == 0 || !clients[i].joined) && read_client(&clients[i])) {
    }
    if (clients[i].fd >= 0) flush_client(&clients[i]);
  }
}

void attach_close(const char *path) {
  for (int i = 0; i < ATTACH_CLIENTS; i++) {
    struct pollfd polled = {clients[i].fd, POLLOUT, 0};
    while (clients[i].fd >= 0 && clients[i].have > 0 && poll(&polled, 1, LAST_WORDS_MS) > 0)
      flush_client(&clients[i]);
    if (clients[i].fd >= 0) drop(&clients[i]);
  }
  if (listener >= 0) close(listener);
  unlink(path);
}
