#define _GNU_SOURCE
#include "root_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_LINKS 16

static int open_in(int root, const char *path, int flags) {
  struct open_how how = {.flags = flags | O_CLOEXEC,
                         .mode = flags & O_CREAT ? 0644 : 0,
                         .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
  return syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* Opens the folder that contains `path`. Creates it, with the folders above it, if it does not exist. */
static int open_parent(int root, const char *path) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash || slash == path) return open_in(root, "/", O_PATH | O_DIRECTORY);
  if (snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path) >= (int)sizeof folder) return -1;
  int fd = open_in(root, folder, O_PATH | O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  int above = open_parent(root, folder);
  if (above >= 0) mkdirat(above, strrchr(folder, '/') + 1, 0755);
  if (above >= 0) close(above);
  return open_in(root, folder, O_PATH | O_DIRECTORY);
}

/* Images have links such as /etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf, whose folder does not exist. */
static int open_target(int root, const char *target) {
  char path[PATH_MAX], next[PATH_MAX], link[PATH_MAX];
  snprintf(path, sizeof path, "%s", target);
  for (int links = 0; links < MAX_LINKS; links++) {
    int parent = open_parent(root, path);
    if (parent < 0) return -1;
    ssize_t length = readlinkat(parent, strrchr(path, '/') + 1, link, sizeof link - 1);
    close(parent);
    if (length < 0) return open_in(root, path, O_RDONLY | O_CREAT | O_NOCTTY | O_NONBLOCK);
    link[length] = 0;
    int folder = link[0] == '/' ? 0 : (int)(strrchr(path, '/') - path) + 1;
    if (snprintf(next, sizeof next, "%.*s%s", folder, path, link) >= (int)sizeof next || !strchr(next, '/')) return -1;
    memcpy(path, next, sizeof path);
  }
  return -1;
}

void bind_root_file(const char *root, const char *name, const char *target) {
  char source[64], path[64];
  snprintf(source, sizeof source, ROOT_FILES "/%s", name);
  if (access(source, F_OK)) return;
  int base = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = base < 0 ? -1 : open_target(base, target);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd < 0 || mount(source, path, NULL, MS_BIND, NULL)) fprintf(stderr, "bulkhead: %s: %s\n", target, strerror(errno));
  if (fd >= 0) close(fd);
  if (base >= 0) close(base);
}
