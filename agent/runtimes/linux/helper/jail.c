#define _GNU_SOURCE
#include "jail.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helper.h"

void open_jail(const char *directory) {
  if (mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k") || chdir(directory))
    die("jail", directory);
}

void bind_directory(const char *source, const char *target, unsigned long flags) {
  if (mkdir(target, 0755) && errno != EEXIST) die("jail", target);
  if (mount(source, target, NULL, MS_BIND, NULL)) die("jail", source);
  if (mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_NOSUID | flags, NULL)) die("jail", target);
}

/* On a system with merged /usr these are links to /usr. On others they are separate directories with libraries. */
static void link_or_bind(const char *name) {
  char source[64], target[256];
  snprintf(source, sizeof source, "/%s", name);
  ssize_t length = readlink(source, target, sizeof target - 1);
  if (length > 0) {
    target[length] = 0;
    if (symlink(target, name)) die("jail", name);
  } else if (access(source, F_OK) == 0) {
    bind_directory(source, name, MS_RDONLY);
  }
}

void bind_programs(void) {
  bind_directory("/usr", "usr", MS_RDONLY);
  link_or_bind("lib");
  link_or_bind("lib64");
}

void make_device(const char *name, int major, int minor) {
  if (mknod(name, S_IFCHR | 0666, makedev(major, minor)) || chmod(name, 0666)) die("device", name);
}

void close_jail(void) {
  if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) die("jail", "root");
}
