/* Checks existing device nodes, and tries to create one for a disk. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

/* In the container's /dev, which is in memory, so that the container's files do not change. */
#define NODE "/dev/.bulkhead-probe"
#define MAX_DISKS 8

/* The devices null, zero, full, random, urandom, tty, console, ptmx and terminals. */
static bool is_usual(dev_t device) {
  unsigned number = minor(device);
  if (major(device) == 1) return number == 3 || number == 5 || number == 7 || number == 8 || number == 9;
  return (major(device) == 5 && (number == 0 || number == 1 || number == 2)) || major(device) == 136;
}

static void probe_nodes(void) {
  bool there = false, reached = false;
  DIR *devices = opendir("/dev");
  for (struct dirent *entry; devices && (entry = readdir(devices));) {
    struct stat info;
    char path[300];
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    if (lstat(path, &info) || (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) || is_usual(info.st_rdev)) continue;
    there = true;
    /* Opening some devices, such as a watchdog or a tape, has side effects. access() checks the permission without them. */
    reached |= tried(path, access(path, R_OK));
  }
  if (devices) closedir(devices);
  report("device-nodes", reached ? "reached" : there ? "refused" : "absent");
}

static bool read_disk(unsigned major_number, unsigned minor_number, const char *name) {
  char sector[512];
  unlink(NODE);
  if (!tried("mknod", mknod(NODE, S_IFBLK | 0600, makedev(major_number, minor_number)))) return false;
  int fd = open(NODE, O_RDONLY | O_CLOEXEC);
  unlink(NODE);
  bool done = tried(name, fd < 0 ? fd : read(fd, sector, sizeof sector));
  if (fd >= 0) close(fd);
  return done;
}

static void probe_disks(void) {
  char line[128], name[64];
  unsigned major_number, minor_number;
  bool reached = false;
  int count = 0;
  FILE *file = fopen("/proc/partitions", "re");
  while (file && count < MAX_DISKS && fgets(line, sizeof line, file)) {
    if (sscanf(line, "%u %u %*u %63s", &major_number, &minor_number, name) != 3) continue;
    count++;
    reached |= read_disk(major_number, minor_number, name);
  }
  if (file) fclose(file);
  report("raw-disks", reached ? "reached" : count ? "refused" : "absent");
}

static void probe_mount(void) {
  mkdir(NODE, 0700);
  bool reached = tried("tmpfs", mount("tmpfs", NODE, "tmpfs", MS_NOSUID | MS_NODEV, "size=4k"));
  if (reached) umount2(NODE, MNT_DETACH);
  bool bound = tried("bind", mount("/dev", NODE, NULL, MS_BIND, NULL));
  if (bound) umount2(NODE, MNT_DETACH);
  rmdir(NODE);
  report_reached("mounts", reached || bound);
}

void probe_devices(void) {
  probe_nodes();
  probe_disks();
  probe_mount();
}
