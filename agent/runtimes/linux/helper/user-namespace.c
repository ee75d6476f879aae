/*
 * make-network-namespace user=FILE first-id=N file=FILE
 *   Creates a network namespace that the user namespace mounted at `user` owns, and mounts it at FILE.
 *
 * The first command that needs a container's user namespace creates it. Its ids 0 to 65,535 are the ids N to N + 65,535
 * of this machine. A bind mount of its file in /proc keeps a namespace alive until it is unmounted. Before the mount
 * exists, a child process holds the namespace. The child ends with this process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

struct holder {
  pid_t pid;
  /* The child ends when this is closed. */
  int release;
};

int raise_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets)) return -1;
  for (int i = 0; i < 2; i++) sets[i].effective = sets[i].permitted;
  return syscall(SYS_capset, &header, sets);
}

/*
 * The kernel counts inotify instances, pending signals, message queues and other resources of a user namespace also
 * against the user that created it. If the host's root created all namespaces, all containers would share the limits of
 * root. So each namespace is created by its own first id.
 */
static int become_maker(uid_t id) { return prctl(PR_SET_KEEPCAPS, 1) || setresuid(id, id, id) || raise_capabilities(); }

/*
 * The kernel has one neighbor table of limited size for all network namespaces. Containers must not add entries to it
 * by resolving addresses. So IPv6 is disabled except on loopback, and the IPv4 link has ARP turned off
 * (`nat-switch.ts`).
 */
static int close_ipv6(void) {
  int file = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? 0 : -1;
  int failed = write(file, "1", 1) != 1;
  close(file);
  return failed;
}

static int enter_new(int kind, int user, uid_t maker) {
  if (kind == CLONE_NEWUSER) return become_maker(maker) || unshare(kind);
  return setns(user, CLONE_NEWUSER) || unshare(kind) || close_ipv6();
}

/*
 * A child in a new network namespace that the user namespace `user` owns, or in a new user namespace that `maker`
 * creates.
 */
static struct holder hold_new(int kind, int user, uid_t maker) {
  int ready[2], release[2], problem = 0;
  if (pipe2(ready, O_CLOEXEC) || pipe2(release, O_CLOEXEC)) die("pipe", NULL);
  pid_t child = fork();
  if (child < 0) die("fork", NULL);
  if (child == 0) {
    close(release[1]);
    if (enter_new(kind, user, maker)) problem = errno;
    if (write(ready[1], &problem, sizeof problem) == sizeof problem) (void)!read(release[0], &problem, 1);
    _exit(0);
  }
  close(ready[1]);
  close(release[0]);
  if (read(ready[0], &problem, sizeof problem) != sizeof problem) problem = ECHILD;
  close(ready[0]);
  errno = problem;
  if (problem) die("new namespace", NULL);
  return (struct holder){child, release[1]};
}

static void write_map(pid_t pid, const char *name, unsigned first) {
  char path[64], map[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int length = snprintf(map, sizeof map, "0 %u %u", first, USER_NAMESPACE_IDS);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, map, length) != length) die("map", path);
  close(file);
}

static void keep(struct holder holder, const char *kind, const char *file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/%s", holder.pid, kind);
  int target = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (target < 0) die("create", file);
  close(target);
  if (mount(path, file, NULL, MS_BIND, NULL)) die("keep namespace", file);
  close(holder.release);
  waitpid(holder.pid, NULL, 0);
}

/* Like `ip netns`: an unmount in this folder takes effect in all mount namespaces. */
static void share_folder_of(const char *file) {
  char *folder = strdup(file);
  *strrchr(folder, '/') = 0;
  if (mkdir(folder, 0755) && errno != EEXIST) die("directory", folder);
  if (mount("", folder, NULL, MS_SHARED | MS_REC, NULL) &&
      (mount(folder, folder, NULL, MS_BIND | MS_REC, NULL) || mount("", folder, NULL, MS_SHARED | MS_REC, NULL)))
    die("share", folder);
  free(folder);
}

/* Returns -1 if no user namespace is mounted there. */
static int open_kept(const char *file) {
  int kept = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (kept >= 0 && ioctl(kept, NS_GET_NSTYPE) == CLONE_NEWUSER) return kept;
  if (kept >= 0) close(kept);
  return -1;
}

int open_user_namespace(char **arguments) {
  const char *file = argument(arguments, "user");
  unsigned first = strtoul(argument(arguments, "first-id"), NULL, 10);
  int kept = open_kept(file);
  if (kept >= 0) return kept;
  struct holder holder = hold_new(CLONE_NEWUSER, -1, first);
  write_map(holder.pid, "uid_map", first);
  write_map(holder.pid, "gid_map", first);
  keep(holder, "user", file);
  if ((kept = open_kept(file)) < 0) die("user namespace", file);
  return kept;
}

int make_network_namespace(char **arguments) {
  const char *file = argument(arguments, "file");
  int user = open_user_namespace(arguments);
  share_folder_of(file);
  keep(hold_new(CLONE_NEWNET, user, 0), "net", file);
  return 0;
}
