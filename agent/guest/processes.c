#define _GNU_SOURCE
#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user.h"

static ssize_t read_proc(const char *pid, const char *name, char *buffer, size_t size) {
  char path[300];
  snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = read(fd, buffer, size - 1);
  close(fd);
  if (got >= 0) buffer[got] = 0;
  return got;
}

static int in_namespace(const char *pid, const struct stat *wanted) {
  char path[300];
  struct stat info;
  snprintf(path, sizeof path, "/proc/%s/ns/pid", pid);
  return stat(path, &info) == 0 && info.st_ino == wanted->st_ino;
}

static void printable(char *text) {
  for (; *text; text++)
    if (iscntrl((unsigned char)*text)) *text = ' ';
}

static size_t describe(const char *pid, int root, char *record, size_t size) {
  static char status[4096], stat_line[1024], command[4096];
  if (read_proc(pid, "status", status, sizeof status) <= 0) return 0;
  if (read_proc(pid, "stat", stat_line, sizeof stat_line) <= 0) return 0;
  ssize_t length = read_proc(pid, "cmdline", command, sizeof command);
  for (ssize_t i = 0; i + 1 < length; i++)
    if (!command[i]) command[i] = ' ';
  if (length <= 0) command[0] = 0;
  printable(command);
  const char *inner = strstr(status, "NSpid:");
  const char *uid = strstr(status, "\nUid:");
  char *after_name = strrchr(stat_line, ')');
  if (!inner || !uid || !after_name) return 0;
  /* The last number of the line is the pid in the innermost namespace. */
  const char *end = strchr(inner, '\n'), *number = end;
  while (number > inner && number[-1] != '\t') number--;
  unsigned long user_ticks = 0, system_ticks = 0;
  unsigned long long started = 0;
  long pages = 0;
  sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %llu %*u %ld",
         &user_ticks, &system_ticks, &started, &pages);
  char name[64] = "", user[64];
  char *name_start = strchr(stat_line, '(');
  if (name_start) snprintf(name, sizeof name, "%.*s", (int)(after_name - name_start - 1), name_start + 1);
  printable(name);
  lookup_user_name(root, strtoul(uid + 5, NULL, 10), user, sizeof user);
  printable(user);
  int written = snprintf(record, size, "%d\t%s\t%s\t%lu\t%ld\t%llu\t%s", atoi(number), name, user,
                         user_ticks + system_ticks, pages, started, command);
  return written > 0 && (size_t)written < size ? (size_t)written + 1 : 0;
}

size_t list_processes(pid_t container, char *buffer, size_t size) {
  char path[64];
  struct stat wanted;
  snprintf(path, sizeof path, "/proc/%d/ns/pid", container);
  if (stat(path, &wanted)) return 0;
  snprintf(path, sizeof path, "/proc/%d/root", container);
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  DIR *proc = opendir("/proc");
  size_t used = 0;
  for (struct dirent *entry; proc && (entry = readdir(proc));)
    if (isdigit((unsigned char)entry->d_name[0]) && in_namespace(entry->d_name, &wanted))
      used += describe(entry->d_name, root, buffer + used, size - used);
  if (proc) closedir(proc);
  if (root >= 0) close(root);
  return used;
}
