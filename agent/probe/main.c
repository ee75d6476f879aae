#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "probe.h"

#define MAX_SECONDS 12
#define MAX_MEMORY (32 << 20)

static char **given;
static char noted[320];

const char *next_value(int *from, const char *name) {
  size_t length = strlen(name);
  for (; given[*from]; (*from)++)
    if (strncmp(given[*from], name, length) == 0 && given[*from][length] == '=')
      return given[(*from)++] + length + 1;
  return NULL;
}

const char *value_of(const char *name) {
  int from = 0;
  return next_value(&from, name);
}

void note(const char *format, ...) {
  size_t used = strlen(noted);
  if (used && used + 2 < sizeof noted) strcpy(noted + used, ", "), used += 2;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(noted + used, sizeof noted - used, format, arguments);
  va_end(arguments);
}

void report(const char *name, const char *outcome) {
  for (char *at = noted; *at; at++)
    if (!isprint((unsigned char)*at)) *at = '?';
  printf("%s\t%s\t%s\n", name, outcome, noted);
  fflush(stdout);
  noted[0] = 0;
}

bool tried(const char *what, long result) {
  if (result >= 0) note("%s: done", what);
  else note("%s: %s", what, strerrorname_np(errno));
  return result >= 0;
}

void report_reached(const char *name, bool reached) { report(name, reached ? "reached" : "refused"); }

static void end_first_for_memory(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!write(fd, "1000", 4);
  close(fd);
}

/*
 * From here on, no process of the container can trace this process. Its files in /proc then belong to the host's root, so
 * they must be written first.
 */
static void limit_self(void) {
  end_first_for_memory();
  prctl(PR_SET_DUMPABLE, 0);
  setrlimit(RLIMIT_AS, &(struct rlimit){MAX_MEMORY, MAX_MEMORY});
  setrlimit(RLIMIT_CPU, &(struct rlimit){MAX_SECONDS, MAX_SECONDS});
  alarm(MAX_SECONDS);
  setpriority(PRIO_PROCESS, 0, 10);
}

int probe(char **arguments) {
  given = arguments;
  limit_self();
  probe_kernel();
  probe_processes();
  probe_files();
  probe_devices();
  probe_calls();
  probe_network();
  puts("end");
  return 0;
}
