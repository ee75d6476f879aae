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

static int unmount_disk(const char *serial, const char *target) {
  if (umount2(target, 0) && errno != EINVAL) return -errno;
  char name[8], link[64], device[256];
  if (find_disk(serial, name, sizeof name)) return 0;
  snprintf(link, sizeof link, "/sys/block/%s/device", name);
  ssize_t length = readlink(link, device, sizeof device - 1);
  if (length < 0) return -errno;
  device[length] = 0;
  return unbind_device(VIRTIO_BLOCK, basename(device));
}

int unmount_layers(bool keep_image) {
  sync();
  if (umount2(ROOT_DIRECTORY, 0) && errno != EINVAL) return -errno;
  int problem = unmount_disk("scratch", SCRATCH);
  if (problem) return problem;
  mounted = false;
  if (!keep_image) problem = unmount_disk("image", IMAGE);
  if (!keep_image && !problem) image_mounted = false;
  return problem;
}

static int mount_all(void) {
  /* Disks are bound to their driver only now, because the kernel reads a disk's size when it binds it. */
  int problem = drive_devices(VIRTIO_BLOCK, "bind");
  if (!problem && !image_mounted) problem = mount_disk("image", IMAGE, "squashfs", MS_RDONLY | MS_NODEV, NULL);
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
