#define _GNU_SOURCE
#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

#define LINE_BYTES 16384

static const char *log_path;
static int log_fd = -1;
static size_t written, grown;
static struct {
  char text[LINE_BYTES];
  size_t length;
} pending[2];

static void reopen(void) {
  if (log_fd >= 0) close(log_fd);
  log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat info;
  written = log_fd >= 0 && fstat(log_fd, &info) == 0 ? info.st_size : 0;
}

void log_open(const char *path) {
  log_path = path;
  reopen();
  if (log_fd < 0) die("log", path);
}

static void rotate(void) {
  char *old = NULL;
  if (asprintf(&old, "%s.1", log_path) < 0) return;
  rename(log_path, old);
  reopen();
}

static void entry(int source, char kind, const char *text, size_t length) {
  struct timespec now;
  struct tm parts;
  char head[80], time_text[32];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &parts);
  int head_length = snprintf(head, sizeof head, "%s.%09ldZ %s %c ", time_text, now.tv_nsec, source ? "stderr" : "stdout", kind);
  struct iovec parts_out[3] = {{head, head_length}, {(void *)text, length}, {"\n", 1}};
  if (written + head_length + length + 1 > LOG_BYTES) rotate();
  ssize_t whole = head_length + length + 1, put = writev(log_fd, parts_out, 3);
  if (put == whole) {
    written += put;
    grown += put;
  } else if (put > 0) {
    /* The disk is full. Half an entry would spoil the next one: it goes, and nothing more is lost than this. */
    if (ftruncate(log_fd, written) < 0) return;
  }
}

static void emit(int source, char kind) {
  entry(source, kind, pending[source].text, pending[source].length);
  pending[source].length = 0;
}

size_t log_write(int source, const char *data, size_t length) {
  grown = 0;
  for (size_t i = 0; i < length; i++) {
    if (data[i] == '\n') {
      emit(source, 'F');
      continue;
    }
    if (pending[source].length == LINE_BYTES) emit(source, 'P');
    pending[source].text[pending[source].length++] = data[i];
  }
  return grown;
}

bool log_waits(void) { return pending[0].length > 0 || pending[1].length > 0; }

void log_pause(void) {
  for (int source = 0; source < 2; source++)
    if (pending[source].length > 0) emit(source, 'P');
}
