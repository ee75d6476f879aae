#define _GNU_SOURCE
#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

/* The entries of one read. For output of newlines only, entries are forty times larger, and one write for each would cost the
 * host far more than the process. */
static char entries[1 << 20];
static size_t entries_length;

static void flush(void) {
  if (entries_length == 0) return;
  ssize_t put = write(log_fd, entries, entries_length);
  if (put > 0 && (size_t)put < entries_length) {
    /* The disk is full. A partial entry would corrupt the next one, so it is removed. */
    const char *last = memrchr(entries, '\n', put);
    put = last ? last + 1 - entries : 0;
    if (ftruncate(log_fd, written + put) < 0) put = 0;
  }
  if (put > 0) {
    written += put;
    grown += put;
  }
  entries_length = 0;
}

/* One timestamp for all output of one read. */
static char now_text[64];

static void read_clock(void) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t length = strftime(now_text, sizeof now_text, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(now_text + length, sizeof now_text - length, ".%09ldZ", now.tv_nsec);
}

static void append(const char *text, size_t length) {
  memcpy(entries + entries_length, text, length);
  entries_length += length;
}

static void emit(int source, char kind) {
  char head[80];
  size_t head_length = snprintf(head, sizeof head, "%s %s %c ", now_text, source ? "stderr" : "stdout", kind);
  size_t whole = head_length + pending[source].length + 1;
  if (entries_length + whole > sizeof entries) flush();
  if (written + entries_length + whole > LOG_BYTES) {
    flush();
    rotate();
  }
  append(head, head_length);
  append(pending[source].text, pending[source].length);
  append("\n", 1);
  pending[source].length = 0;
}

size_t log_write(int source, const char *data, size_t length) {
  grown = 0;
  read_clock();
  for (size_t i = 0; i < length; i++) {
    if (data[i] == '\n') {
      emit(source, 'F');
      continue;
    }
    if (pending[source].length == LINE_BYTES) emit(source, 'P');
    pending[source].text[pending[source].length++] = data[i];
  }
  flush();
  return grown;
}

bool log_waits(void) { return pending[0].length > 0 || pending[1].length > 0; }

void log_pause(void) {
  read_clock();
  for (int source = 0; source < 2; source++)
    if (pending[source].length > 0) emit(source, 'P');
  flush();
}
