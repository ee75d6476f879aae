#define _GNU_SOURCE
#include "cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *directory, const char *name, const char *value) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!write(fd, value, strlen(value));
  close(fd);
}

void make_cgroup(const char *path, const char *memory_bytes, const char *pids) {
  mkdir(path, 0755);
  write_file(path, "memory.max", memory_bytes ? memory_bytes : "max");
  write_file(path, "pids.max", pids ? pids : "max");
}

void join_cgroup(const char *path) { write_file(path, "cgroup.procs", "0"); }

int cgroup_ran_out_of_memory(const char *path) {
  char name[256], line[128];
  long kills = 0;
  snprintf(name, sizeof name, "%s/memory.events", path);
  FILE *file = fopen(name, "re");
  while (file && kills == 0 && fgets(line, sizeof line, file)) sscanf(line, "oom_kill %ld", &kills);
  if (file) fclose(file);
  return kills > 0;
}
