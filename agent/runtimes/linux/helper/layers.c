/*
 * mount-layers image=FILE image-type=TYPE image-mount=DIR scratch=FILE rw=DIR root=DIR names=DIR user=FILE first-id=N
 *   Mounts the image (unless it is mounted), the writable layer, and the overlay of both as the root file system. Its files are
 *   mapped to the ids of the user namespace at FILE, of which N is the first. Exit code 4: Bulkhead did not format the writable
 *   layer like this. The layer is not mounted then, and stderr has the reason. Also mounts a small file system at `names`.
 * unmount-layers DIR...
 *   Unmounts these directories in that order. If one is in use, it waits for a short time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

#define ATTEMPTS 400
/* The exit code for a disk that differs from the disks that Bulkhead formats. */
#define REFUSED 4

/*
 * Sets every option that the disk or this kernel's configuration could set otherwise. The kernel must not zero the inode tables
 * in the background: they already read as zeros, and a loop device would release the allocated space to the host.
 */
#define SCRATCH_OPTIONS "errors=remount-ro,noinit_itable"
#define OVERLAY_OPTIONS "redirect_dir=nofollow,metacopy=off,index=off,nfs_export=off,xino=off"

static const struct timespec PAUSE = {0, 5000000};

static int is_mount_point(const char *path) {
  struct stat here, above;
  char *parent = join_path(path, "..");
  int result = stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
  free(parent);
  return result;
}

/* Opens a loop device for the file, which detaches itself once it is neither open nor mounted. */
static int attach_loop(const char *path, int read_only, char *name, size_t size) {
  int file = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC), control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (file < 0) die("open", path);
  if (control < 0) die("open", "/dev/loop-control");
  for (int tries = 0; tries < ATTEMPTS; tries++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) die("loop device", path);
    snprintf(name, size, "/dev/loop%d", number);
    int device = open(name, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    struct loop_config config = {.fd = file, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0)}};
    snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", path);
    if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) == 0) {
      close(file);
      close(control);
      return device;
    }
    /* Another process has used the device, or its node does not exist yet. */
    if (device >= 0) close(device);
    nanosleep(&PAUSE, NULL);
  }
  die("loop device", path);
}

static void mount_file(const char *path, const char *target, const char *type, unsigned long flags, const char *options) {
  if (is_mount_point(target)) return;
  char device_name[64];
  int device = attach_loop(path, flags & MS_RDONLY, device_name, sizeof device_name);
  if (mkdir(target, 0755) && errno != EEXIST) die("directory", target);
  if (mount(device_name, target, type, flags, options)) die("mount", path);
  close(device);
}

/*
 * Code of the container may have written the content of `folder`. Therefore no link in it is followed, and no name is resolved
 * twice. A missing folder is created.
 */
static int open_folder(int folder, const char *name) {
  struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
  int fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
  if (fd >= 0 || errno != ENOENT) return fd;
  if (mkdirat(folder, name, 0755)) return -1;
  return syscall(SYS_openat2, folder, name, &how, sizeof how);
}

/* Prints the reason if the disk is refused. Any owner of `upper` is allowed, because it becomes the container's root. */
static bool are_safe(int upper, int work, uid_t root_id) {
  struct stat upper_info, work_info;
  if (upper < 0 || work < 0) {
    fprintf(stderr, "\"%s\" on its disk is not an ordinary folder (%s)\n", upper < 0 ? "upper" : "work", strerror(errno));
    return false;
  }
  if (fstat(upper, &upper_info) || fstat(work, &work_info)) die("folders", "scratch");
  if (upper_info.st_ino == work_info.st_ino)
    fprintf(stderr, "\"upper\" and \"work\" on its disk are the same folder\n");
  else if (work_info.st_uid - root_id >= USER_NAMESPACE_IDS)
    fprintf(stderr, "\"work\" on its disk belongs to a user outside the container, not to root\n");
  else if (work_info.st_uid != root_id)
    fprintf(stderr, "\"work\" on its disk belongs to user %u, not to root\n", work_info.st_uid - root_id);
  else
    return true;
  return false;
}

/* runc mounts on these folders, and follows a link at /dev when it creates its links there (CVE-2026-41579). */
static bool has_mount_points(const char *root) {
  static const char *const names[] = {"dev", "proc", "sys"};
  int base = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (base < 0) die("open", root);
  bool all = true;
  for (size_t i = 0; all && i < sizeof names / sizeof *names; i++) {
    int fd = open_folder(base, names[i]);
    all = fd >= 0;
    if (all) close(fd);
    else fprintf(stderr, "\"/%s\" in its root is not an ordinary folder (%s)\n", names[i], strerror(errno));
  }
  close(base);
  return all;
}

/* Mounts the overlay from open folders as the container's root. Returns an exit code. */
static int mount_overlay(const char *image, const char *rw, const char *root, uid_t root_id) {
  char *options;
  int disk = open(rw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (disk < 0) die("open", rw);
  /* The upper folder becomes the container's root, which every user of the container must be able to traverse. */
  umask(022);
  int upper = open_folder(disk, "upper"), work = upper < 0 ? -1 : open_folder(disk, "work"), code = REFUSED;
  if (are_safe(upper, work, root_id)) {
    if (asprintf(&options, "lowerdir=%s,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d," OVERLAY_OPTIONS, image, upper,
                 work) < 0)
      die("memory", NULL);
    code = mount("overlay", root, "overlay", MS_NODEV | MS_NOSUID, options) ? REFUSED : 0;
    if (code) fprintf(stderr, "the overlay on its disk could not be mounted (%s)\n", strerror(errno));
    if (!code && !has_mount_points(root)) {
      code = REFUSED;
      if (umount2(root, UMOUNT_NOFOLLOW)) die("unmount", root);
    }
  }
  close(work);
  close(upper);
  close(disk);
  return code;
}

/* The container can write to files in it, so its size is limited. */
#define NAMES_OPTIONS "size=64k,nr_inodes=8,mode=0755"

static int mount_names(const char *names) {
  if (is_mount_point(names)) return 0;
  if (mkdir(names, 0755) && errno != EEXIST) die("directory", names);
  if (mount("tmpfs", names, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NAMES_OPTIONS)) die("mount", names);
  return 0;
}

int mount_layers(char **arguments) {
  const char *image = argument(arguments, "image-mount"), *rw = argument(arguments, "rw"), *root = argument(arguments, "root");
  unsigned root_id = strtoul(argument(arguments, "first-id"), NULL, 10);
  unsigned long flags = MS_NODEV | MS_NOSUID | MS_NOATIME;
  mount_file(argument(arguments, "image"), image, argument(arguments, "image-type"), flags | MS_RDONLY, NULL);
  const char *names = argument(arguments, "names");
  if (is_mount_point(root)) return mount_names(names);
  mount_file(argument(arguments, "scratch"), rw, "ext4", flags | MS_NOSYMFOLLOW, SCRATCH_OPTIONS);
  if (mkdir(root, 0755) && errno != EEXIST) die("directory", root);
  int user = open_user_namespace(arguments), home = enter_idmapped(image, rw, user, root_id), code = mount_overlay(image, rw, root, root_id);
  if (leave_idmapped(home, code ? NULL : root) == 0) return mount_names(names);
  int problem = errno;
  if (umount2(rw, UMOUNT_NOFOLLOW)) die("unmount", rw);
  if (code) return code;
  errno = problem;
  die("overlay", root);
}

int unmount_layers(char **arguments) {
  for (; *arguments; arguments++)
    for (int tries = 0; umount2(*arguments, UMOUNT_NOFOLLOW) != 0; tries++) {
      if (errno == EINVAL || errno == ENOENT) break; /* nothing is mounted there */
      if (errno != EBUSY || tries == ATTEMPTS) die("unmount", *arguments);
      nanosleep(&PAUSE, NULL);
    }
  return 0;
}
