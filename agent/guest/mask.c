#define _GNU_SOURCE
#include "mask.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int mask(const char *path) {
  struct stat info;
  if (stat(path, &info)) return errno == ENOENT ? 0 : -1;
  if (S_ISDIR(info.st_mode)) return mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  return mount("/dev/null", path, NULL, MS_BIND, NULL);
}

static int make_read_only(const char *path) {
  if (mount(path, path, NULL, MS_BIND | MS_REC, NULL)) return errno == ENOENT ? 0 : -1;
  return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

int mask_paths(struct fields fields) {
  char **masked = field_list(fields, "mask"), **read_only = field_list(fields, "read-only");
  int failed = !masked || !read_only;
  for (char **path = masked; !failed && *path; path++) failed = mask(*path);
  for (char **path = read_only; !failed && *path; path++) failed = make_read_only(*path);
  free(masked);
  free(read_only);
  return failed ? -1 : 0;
}
