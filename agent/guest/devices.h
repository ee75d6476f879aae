#ifndef BULKHEAD_DEVICES_H
#define BULKHEAD_DEVICES_H

#include <stddef.h>

/* Kinds of virtio devices, with their numbers in the virtio standard. */
enum device_kind { VIRTIO_NETWORK = 1, VIRTIO_BLOCK = 2 };

/* Binds every device of that kind to its driver (`bind`), or unbinds it (`unbind`). Returns 0 or -errno. */
int drive_devices(enum device_kind kind, const char *action);
/* Unbinds one device, such as `virtio3`, from its driver. Returns 0 or -errno. */
int unbind_device(enum device_kind kind, const char *device);

/* Writes the whole text to a file. Returns 0 or -errno. */
int write_text(const char *path, const char *text);
/* Reads the beginning of a file as text. Returns false if it is empty or cannot be read. */
int read_text(const char *path, char *text, size_t size);

#endif
