#define _GNU_SOURCE
#include "layers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"
#include "spawn.h"

#define IMAGE "/base"
#define SCRATCH "/rw"
/* The same options as in the Default runtime (`helper/layers.c`). */
#define SCRATCH_OPTIONS "errors=remount-ro,noinit_itable"
#define OVERLAY_OPTIONS "redirect_dir=nofollow,metacopy=off,index=off,nfs_export=off,xino=off"

static bool mounted, image_mounted;
int layers_mounted(void) { return mounted; }

/* Finds the disk with that serial number: `vda` or `vdb`. */
static int find_disk(const char *serial, char *name, size_t size) {
  static const char *const names[] = {"vda", "vdb"};
  for (int i = 0; i < 2; i++) {
    char attribute[64], found[32];
    snprintf(attribute, sizeof attribute, "/sys/block/%s/serial", names[i]);
    if (!read_text(attribute, found, sizeof found)) continue;
    found[strcspn(found, "\n")] = 0;
    if (strcmp(found, serial) != 0) continue;
    snprintf(name, size, "%s", names[i]);
    return 0;
  }
  return -ENODEV;
}

static int mount_disk(const char *serial, const char *target, const char *type, unsigned long flags, const char *options) {
  char name[8], path[16];
  int problem = find_disk(serial, name, sizeof name);
  if (problem) return problem;
  snprintf(path, sizeof path, "/dev/%s", name);
  return mount(path, target, type, flags, options) ? -errno : 0;
}

/* Something that is not mounted is not an error. */
static int unmount(const char *target) { return umount2(target, 0) && errno != EINVAL ? -errno : 0; }

int unmount_layers(bool keep_image) {
  sync();
  int problem = unmount(ROOT_DIRECTORY);
  if (!problem) problem = unmount(SCRATCH);
  if (problem) return problem;
  mounted = false;
  if (!keep_image) problem = unmount(IMAGE);
  if (!keep_image && !problem) image_mounted = false;
  return problem;
}

static int mount_all(void) {
  int problem = 0;
  if (!image_mounted) problem = mount_disk("image", IMAGE, "squashfs", MS_RDONLY | MS_NODEV, NULL);
  if (problem) return problem;
  image_mounted = true;
  problem = mount_disk("scratch", SCRATCH, "ext4", MS_NOATIME | MS_NODEV, SCRATCH_OPTIONS);
  if (problem) return problem;
  mkdir(SCRATCH "/upper", 0755);
  mkdir(SCRATCH "/work", 0755);
  const char *options = "lowerdir=" IMAGE ",upperdir=" SCRATCH "/upper,workdir=" SCRATCH "/work," OVERLAY_OPTIONS;
  return mount("overlay", ROOT_DIRECTORY, "overlay", MS_NODEV, options) ? -errno : 0;
}

int mount_layers(void) {
  if (mounted) return 0;
  int problem = mount_all();
  if (problem) unmount_layers(false);
  else mounted = true;
  return problem;
}
