/*
 * Assembles a container's root from its layers, with uid 0 on disk mapped to the first id of the container's user
 * namespace. The kernel cannot idmap an overlay, so the layers are idmapped before it is assembled.
 *
 * The kernel accesses an overlay's upper layer with the identity of the process that mounted it, for example to copy
 * files up or to create whiteouts. This identity must be mapped in the idmapped layer. It is therefore the first id of
 * the namespace, with this process's capabilities.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

/* Mounts an idmapped copy of the mount on top of it. */
static int idmap_over(const char *path, int user) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = user};
  int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  int failed = tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) ||
               move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
  int problem = errno;
  if (tree >= 0) close(tree);
  errno = problem;
  return failed ? -1 : 0;
}

/* A change of the file system ids clears the capabilities for files, so they are raised again. */
static int act_as(unsigned id) {
  setfsgid(id);
  setfsuid(id);
  return raise_capabilities();
}

/* If the kernel cannot write to an upper layer, it mounts the overlay read-only and reports that only in its log. */
static int is_writable(int tree) {
  struct statvfs found;
  if (fstatvfs(tree, &found)) return 0;
  errno = EROFS;
  return !(found.f_flag & ST_RDONLY);
}

/*
 * The idmapped copies are mounted in a separate mount namespace. The overlay keeps the references that it needs, so the
 * copies disappear with the namespace, even if this process is killed.
 */
int enter_idmapped(const char *image, const char *rw, int user, unsigned first_id) {
  int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (home < 0 || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("mount namespace", NULL);
  if (idmap_over(image, user)) die("idmap", image);
  if (idmap_over(rw, user)) die("idmap", rw);
  if (act_as(first_id)) die("capabilities", NULL);
  close(user);
  return home;
}

int leave_idmapped(int home, const char *root) {
  int tree = root ? open_tree(AT_FDCWD, root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) : -1;
  int usable = tree >= 0 && is_writable(tree), problem = errno;
  if (setns(home, CLONE_NEWNS)) die("mount namespace", NULL);
  if (usable && move_mount(tree, "", AT_FDCWD, root, MOVE_MOUNT_F_EMPTY_PATH)) {
    problem = errno;
    usable = 0;
  }
  if (tree >= 0) close(tree);
  close(home);
  errno = problem;
  return usable ? 0 : -1;
}
