/*
 * mount-layers image=FILE image-mount=DIR scratch=FILE rw=DIR root=DIR
 *   Mounts the image (unless it is), the writable layer, and both as one root file system.
 * unmount-layers DIR...
 *   Unmounts what is mounted there, in that order, waiting a little for who still uses it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

#define ATTEMPTS 400
static const struct timespec PAUSE = {0, 5000000};

static int is_mount_point(const char *path) {
  struct stat here, above;
  char *parent = join_path(path, "..");
  int result = stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
  free(parent);
  return result;
}

/* A loop device for the file, which frees itself once it is neither open nor mounted. Returns it open. */
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
    /* Another has taken it in between, or its node is not there yet. */
    if (device >= 0) close(device);
    nanosleep(&PAUSE, NULL);
  }
  die("loop device", path);
}

static void mount_file(const char *path, const char *target, const char *type, unsigned long flags) {
  if (is_mount_point(target)) return;
  char device_name[64];
  int device = attach_loop(path, flags & MS_RDONLY, device_name, sizeof device_name);
  if (mkdir(target, 0755) && errno != EEXIST) die("directory", target);
  if (mount(device_name, target, type, flags, NULL)) die("mount", path);
  close(device);
}

int mount_layers(char **arguments) {
  const char *image = argument(arguments, "image-mount"), *rw = argument(arguments, "rw"), *root = argument(arguments, "root");
  mount_file(argument(arguments, "image"), image, "squashfs", MS_RDONLY | MS_NODEV | MS_NOATIME);
  if (is_mount_point(root)) return 0;
  mount_file(argument(arguments, "scratch"), rw, "ext4", MS_NODEV | MS_NOATIME);
  /* The upper folder becomes the container's root, which is everybody's to enter. */
  umask(022);
  char *upper = join_path(rw, "upper"), *work = join_path(rw, "work"), *options;
  if ((mkdir(upper, 0755) || mkdir(work, 0755)) && errno != EEXIST) die("directory", upper);
  if (asprintf(&options, "lowerdir=%s,upperdir=%s,workdir=%s", image, upper, work) < 0) die("memory", NULL);
  if (mkdir(root, 0755) && errno != EEXIST) die("directory", root);
  if (mount("overlay", root, "overlay", MS_NODEV, options)) {
    int problem = errno;
    umount2(rw, 0);
    errno = problem;
    die("overlay", root);
  }
  return 0;
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
