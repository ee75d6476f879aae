/*
 * Assembles a container's root from its layers so that files of uid 0 on disk belong to the first id of the container's
 * user namespace. An assembled overlay can't be idmapped, so its layers are.
 *
 * The kernel works on an overlay's upper layer with the identity of the process that mounted it: copies files up, makes
 * whiteouts. That identity needs an id that the idmapped layer knows, so it is the namespace's first one, with this
 * process's capabilities.
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

/* Puts an idmapped copy of the mount over itself. */
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

/* Changing the id takes the capabilities over files away; they are raised again. */
static int act_as(unsigned id) {
  setfsgid(id);
  setfsuid(id);
  return raise_capabilities();
}

/* Where the kernel can't write to an upper layer it mounts read-only, and says so in its log alone. */
static int is_writable(int tree) {
  struct statvfs found;
  if (fstatvfs(tree, &found)) return 0;
  errno = EROFS;
  return !(found.f_flag & ST_RDONLY);
}

/*
 * The idmapped copies are mounted in a mount namespace of this process alone: the overlay holds what it needs of them,
 * so only the overlay is left of them, also when this process is killed.
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
