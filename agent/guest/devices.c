#define _GNU_SOURCE
#include "devices.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/virtio/devices"
/* The kind of a device in the virtio standard. */
#define VIRTIO_NETWORK 1

int write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return -errno;
  int result = write(fd, text, strlen(text)) < 0 ? -errno : 0;
  close(fd);
  return result;
}

int read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[got > 0 ? got : 0] = 0;
  return got > 0;
}

/* A device that is already in the requested state is not an error. */
static int drive(const char *action, const char *device) {
  char path[128];
  snprintf(path, sizeof path, "/sys/bus/virtio/drivers/virtio_net/%s", action);
  int problem = write_text(path, device);
  return problem == -EBUSY || problem == -ENODEV ? 0 : problem;
}

int drive_network(const char *action) {
  DIR *devices = opendir(DEVICES);
  int result = devices ? 0 : -errno;
  for (struct dirent *entry; devices && (entry = readdir(devices));) {
    char path[300], found[32];
    snprintf(path, sizeof path, DEVICES "/%s/device", entry->d_name);
    if (!read_text(path, found, sizeof found) || strtol(found, NULL, 16) != VIRTIO_NETWORK) continue;
    int problem = drive(action, entry->d_name);
    if (problem) result = problem;
  }
  if (devices) closedir(devices);
  return result;
}
