#ifndef BULKHEAD_DEVICES_H
#define BULKHEAD_DEVICES_H

#include <stddef.h>

/* Kinds of virtio devices, by their number in the standard. */
enum device_kind { VIRTIO_NETWORK = 1, VIRTIO_BLOCK = 2 };

/* Gives every device of that kind to its driver (`bind`), or takes it away (`unbind`). 0 or -errno. */
int drive_devices(enum device_kind kind, const char *action);
/* Takes one device (`virtio3`) away from its driver. 0 or -errno. */
int unbind_device(enum device_kind kind, const char *device);

/* Writes a file, whole. 0 or -errno. */
int write_text(const char *path, const char *text);
/* The beginning of a file, as text. Returns whether there was any. */
int read_text(const char *path, char *text, size_t size);

#endif
