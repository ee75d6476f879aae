/* Checks which of the host's processes are visible, and which of those can be traced. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "probe.h"

static bool command_line_has(const char *pid, const char *part) {
  char path[300], line[4096];
  snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof line);
  if (fd >= 0) close(fd);
  return length > 0 && memmem(line, length, part, strlen(part)) != NULL;
}

/* Attaches without stopping the process and detaches immediately, which has no side effect. */
static bool can_trace(pid_t pid) {
  bool done = tried("trace it", ptrace(PTRACE_SEIZE, pid, 0, 0));
  if (done) ptrace(PTRACE_DETACH, pid, 0, 0);
  return done;
}

void probe_processes(void) {
  const char *marker = value_of("host-process");
  int seen = 0, count = 0;
  bool traced = false;
  DIR *proc = marker ? opendir("/proc") : NULL;
  for (struct dirent *entry; proc && (entry = readdir(proc));) {
    if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid()) continue;
    count++;
    if (!command_line_has(entry->d_name, marker)) continue;
    if (seen++ == 0) traced = can_trace(atoi(entry->d_name));
  }
  if (proc) closedir(proc);
  note("%d of %d other processes belong to the host", seen, count);
  report("host-processes", !marker ? "not-tried" : seen ? "reached" : "absent");
  report("trace-host-process", !marker ? "not-tried" : traced ? "reached" : seen ? "refused" : "absent");
}
